//! The description of a Namespace, with the quotas and limits that hold in it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::kind::Query;
use crate::kinds::description::{Description, date};
use crate::kinds::read::{entries, items, text, texts};

/// What a limit that is not set shows.
const UNSET: &str = "-";

pub(super) fn related(namespace: &Value) -> Vec<Query> {
    let name = text(&namespace["metadata"], "name");
    let all = |plural| Query {
        plural,
        namespace: Some(name.to_owned()),
        ..Query::default()
    };
    vec![all("resourcequotas"), all("limitranges")]
}

pub(super) fn describe(namespace: &Value, related: &[Vec<Value>]) -> String {
    let list = |at: usize| related.get(at).map_or(&[][..], Vec::as_slice);
    let mut out = Description::default();
    out.identity(namespace);
    out.field(0, "Status", text(&namespace["status"], "phase"));
    conditions(&mut out, &namespace["status"]);
    out.put("\n");
    quotas(&mut out, list(0));
    out.put("\n");
    limits(&mut out, list(1));
    out.finish()
}

fn conditions(out: &mut Description, status: &Value) {
    let conditions = items(status, "conditions");
    if conditions.is_empty() {
        return;
    }
    out.line(0, "Conditions:");
    out.line(1, "Type\tStatus\tLastTransitionTime\tReason\tMessage");
    out.line(1, "----\t------\t------------------\t------\t-------");
    for condition in conditions {
        let get = |field: &str| text(condition, field);
        let (kind, status) = (get("type"), get("status"));
        let (reason, message) = (get("reason"), get("message"));
        let time = date(get("lastTransitionTime"));
        out.line(1, &format!("{kind}\t{status}\t{time}\t{reason}\t{message}"));
    }
}

fn quotas(out: &mut Description, quotas: &[Value]) {
    if quotas.is_empty() {
        return out.line(0, "No resource quota.");
    }
    out.line(0, "Resource Quotas");
    for quota in quotas {
        out.field(1, "Name", text(&quota["metadata"], "name"));
        let mut scopes = texts(&quota["spec"], "scopes");
        scopes.sort_unstable();
        if !scopes.is_empty() {
            out.field(1, "Scopes", scopes.join(", "));
        }
        for help in scopes.into_iter().filter_map(scope_help) {
            out.line(1, &format!("* {help}"));
        }
        out.line(1, "Resource\tUsed\tHard");
        out.line(1, "--------\t---\t---");
        for (resource, hard) in entries(&quota["status"], "hard") {
            let used = amount(&quota["status"]["used"][resource], "0");
            let hard = amount(hard, "0");
            out.line(1, &format!("{resource}\t{used}\t{hard}"));
        }
    }
}

fn scope_help(scope: &str) -> Option<&'static str> {
    let help = match scope {
        "Terminating" => {
            "Matches all pods that have an active deadline. These pods have a limited lifespan on a node before being actively terminated by the system."
        }
        "NotTerminating" => {
            "Matches all pods that do not have an active deadline. These pods usually include long running pods whose container command is not expected to terminate."
        }
        "BestEffort" => {
            "Matches all pods that do not have resource requirements set. These pods have a best effort quality of service."
        }
        "NotBestEffort" => {
            "Matches all pods that have at least one resource requirement set. These pods have a burstable or guaranteed quality of service."
        }
        _ => return None,
    };
    Some(help)
}

fn limits(out: &mut Description, ranges: &[Value]) {
    if ranges.is_empty() {
        return out.line(0, "No LimitRange resource.");
    }
    out.line(0, "Resource Limits");
    let heads = "Resource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio";
    out.line(0, &format!(" Type\t{heads}"));
    let rules = "--------\t---\t---\t---------------\t-------------\t-----------------------";
    out.line(0, &format!(" ----\t{rules}"));
    for limit in ranges.iter().flat_map(|r| items(&r["spec"], "limits")) {
        const FIELDS: [&str; 5] = [
            "min",
            "max",
            "defaultRequest",
            "default",
            "maxLimitRequestRatio",
        ];
        let resources: BTreeSet<&str> = FIELDS
            .iter()
            .flat_map(|field| entries(limit, field).map(|(resource, _)| resource))
            .collect();
        for resource in resources {
            let amounts = FIELDS.map(|field| amount(&limit[field][resource], UNSET));
            let kind = text(limit, "type");
            out.line(0, &format!(" {kind}\t{resource}\t{}", amounts.join("\t")));
        }
    }
}

fn amount<'a>(value: &'a Value, unset: &'a str) -> &'a str {
    value.as_str().unwrap_or(unset)
}
