//! The problems of a spec as a whole; its parts have modules of their own.

use serde_json::Value;

use super::{Owner, container, placement, probe, security, volume};
use crate::field::{Error, Path};
use crate::kinds::check::{self, in_range, one_of, problems};
use crate::kinds::read::{entries, flag, has, int, items, text, texts};
use crate::meta::name;

/// All problems of a spec at `path`. `metadata` is that of the Pod; a template's plays no part.
pub(crate) fn spec(spec: &Value, path: &Path, owner: Owner) -> Vec<Error> {
    let mut errors = Vec::new();
    let volumes = volume::validate(&mut errors, spec, path);
    container::validate(&mut errors, spec, path, &volumes, owner);
    host_network(&mut errors, spec, path, owner);
    policies(&mut errors, spec, path);
    for (key, value) in entries(spec, "nodeSelector") {
        let path = path.child("nodeSelector");
        let value = value.as_str().unwrap_or_default();
        check::qualified_name(&mut errors, &path, key);
        problems(&mut errors, &path, value, name::label_value(value));
    }
    security::pod(&mut errors, spec, &path.child("securityContext"));
    if flag(spec, "shareProcessNamespace") && flag(spec, "hostPID") {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.push(Error::invalid(
            &path.child("shareProcessNamespace"),
            true,
            detail,
        ));
    }
    placement::validate(&mut errors, spec, path);
    dns(&mut errors, spec, &path.child("dnsConfig"));
    gates(&mut errors, spec, path);
    names(&mut errors, spec, path);
    aliases(&mut errors, spec, &path.child("hostAliases"));
    if owner == Owner::Pod {
        probe::grace(&mut errors, spec, path);
    }
    errors
}

/// With the host's network, the port of a container and that of the host are the same.
fn host_network(errors: &mut Vec<Error>, spec: &Value, path: &Path, owner: Owner) {
    if !flag(spec, "hostNetwork") {
        return;
    }
    let path = path.child("containers");
    for (at, container) in items(spec, "containers").iter().enumerate() {
        let path = path.index(at).child("ports");
        for (at, port) in items(container, "ports").iter().enumerate() {
            let host = int(port, "hostPort").unwrap_or(0);
            let differs = host != int(port, "containerPort").unwrap_or(0);
            // A template leaves the port of the host to the Pods made from it.
            if differs && (owner == Owner::Pod || host != 0) {
                let path = path.index(at).child("hostPort");
                let detail = "must match `containerPort` when `hostNetwork` is true";
                errors.push(Error::invalid(&path, host, detail));
            }
        }
    }
}

fn policies(errors: &mut Vec<Error>, spec: &Value, path: &Path) {
    const RESTART: &[&str] = &["Always", "OnFailure", "Never"];
    const DNS: &[&str] = &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    for (field, allowed) in [("restartPolicy", RESTART), ("dnsPolicy", DNS)] {
        one_of(errors, &path.child(field), text(spec, field), allowed, true);
    }
    if has(spec, "preemptionPolicy") {
        let allowed = &["PreemptLowerPriority", "Never"];
        let path = path.child("preemptionPolicy");
        one_of(errors, &path, text(spec, "preemptionPolicy"), allowed, true);
    }
    if let Some(seconds) = int(spec, "activeDeadlineSeconds") {
        let path = path.child("activeDeadlineSeconds");
        in_range(errors, &path, seconds, 1, i64::from(i32::MAX));
    }
    if has(spec, "os") {
        let system = text(&spec["os"], "name");
        let path = path.child("os");
        if system.is_empty() {
            errors.push(Error::required(&path.child("name"), ""));
        } else {
            one_of(errors, &path, system, &["linux", "windows"], false);
        }
    }
}

fn dns(errors: &mut Vec<Error>, spec: &Value, path: &Path) {
    const SERVERS: usize = 3;
    const SEARCHES: usize = 32;
    const SEARCH_CHARS: usize = 2048;
    let config = &spec["dnsConfig"];
    let servers = texts(config, "nameservers");
    if text(spec, "dnsPolicy") == "None" {
        if config.is_null() {
            let detail = "must provide `dnsConfig` when `dnsPolicy` is None";
            return errors.push(Error::required(path, detail));
        }
        if servers.is_empty() {
            let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            return errors.push(Error::required(&path.child("nameservers"), detail));
        }
    }
    let at = path.child("nameservers");
    if servers.len() > SERVERS {
        let detail = format!("must not have more than {SERVERS} nameservers");
        errors.push(Error::invalid(&at, config["nameservers"].clone(), detail));
    }
    for (index, server) in servers.into_iter().enumerate() {
        check::ip(errors, &at.index(index), server);
    }
    let at = path.child("searches");
    let searches = texts(config, "searches");
    if searches.len() > SEARCHES {
        let detail = format!("must not have more than {SEARCHES} search paths");
        errors.push(Error::invalid(&at, config["searches"].clone(), detail));
    }
    if searches.join(" ").len() > SEARCH_CHARS {
        let detail = format!(
            "must not have more than {SEARCH_CHARS} characters (including spaces) in the search list"
        );
        errors.push(Error::invalid(&at, config["searches"].clone(), detail));
    }
    for (index, search) in searches.into_iter().enumerate().filter(|(_, s)| *s != ".") {
        let search = search.strip_suffix('.').unwrap_or(search);
        // Search paths may have underscores, where names of objects may not.
        let plain = search.replace('_', "a");
        let found = name::dns1123_subdomain(&plain);
        problems(errors, &at.index(index), search, found);
    }
    for (index, option) in items(config, "options").iter().enumerate() {
        if text(option, "name").is_empty() {
            let path = path.child("options").index(index);
            errors.push(Error::required(&path, "must not be empty"));
        }
    }
}

fn gates(errors: &mut Vec<Error>, spec: &Value, path: &Path) {
    let at = path.child("readinessGates");
    for (index, gate) in items(spec, "readinessGates").iter().enumerate() {
        let path = at.index(index).child("conditionType");
        check::qualified_name(errors, &path, text(gate, "conditionType"));
    }
    let at = path.child("schedulingGates");
    let gates = items(spec, "schedulingGates");
    for (index, gate) in gates.iter().enumerate() {
        let name = text(gate, "name");
        check::qualified_name(errors, &at.index(index), name);
        if gates[..index].iter().any(|g| text(g, "name") == name) {
            errors.push(Error::duplicate(&at.index(index), name));
        }
    }
}

/// The names of other objects, and those that the pod itself gets.
fn names(errors: &mut Vec<Error>, spec: &Value, path: &Path) {
    type Rule = fn(&str) -> Vec<String>;
    const RULES: &[(&str, Rule)] = &[
        ("serviceAccountName", name::dns1123_subdomain),
        ("nodeName", name::dns1123_subdomain),
        ("hostname", name::dns1123_label),
        ("subdomain", name::dns1123_label),
        ("priorityClassName", name::dns1123_subdomain),
        ("runtimeClassName", name::dns1123_subdomain),
    ];
    for (field, rule) in RULES {
        let value = text(spec, field);
        if !value.is_empty() || (*field == "runtimeClassName" && has(spec, field)) {
            problems(errors, &path.child(field), value, rule(value));
        }
    }
}

fn aliases(errors: &mut Vec<Error>, spec: &Value, path: &Path) {
    for (at, alias) in items(spec, "hostAliases").iter().enumerate() {
        let path = path.index(at);
        check::ip(errors, &path.child("ip"), text(alias, "ip"));
        let names = texts(alias, "hostnames").into_iter().enumerate();
        for (at, host) in names {
            let path = path.child("hostnames").index(at);
            problems(errors, &path, host, name::dns1123_subdomain(host));
        }
    }
}

/// Annotations that mean something to a Pod, at the path of the annotations.
pub(crate) fn metadata(annotations: &Value, spec: &Value, path: &Path) -> Vec<Error> {
    const MIRROR: &str = "kubernetes.io/config.mirror";
    const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
    let mut errors = Vec::new();
    if has(annotations, MIRROR) && text(spec, "nodeName").is_empty() {
        let detail = "must set spec.nodeName if mirror pod annotation is set";
        let value = text(annotations, MIRROR);
        errors.push(Error::invalid(&path.key(MIRROR), value, detail));
    }
    if has(annotations, DELETION_COST) {
        let cost = text(annotations, DELETION_COST);
        // A sign of plus and leading zeros would have several spellings of one number.
        let plain = !cost.starts_with('+') && (cost == "0" || !cost.starts_with('0'));
        if cost.parse::<i32>().is_err() || !plain {
            let detail = "must be a 32bit integer";
            errors.push(Error::invalid(&path.key(DELETION_COST), cost, detail));
        }
    }
    errors
}

/// All problems of the template of a workload whose pods always run.
pub(crate) fn template(template: &Value, path: &Path, workload: &str) -> Vec<Error> {
    let meta = &template["metadata"];
    let body = &template["spec"];
    let mut errors = Vec::new();
    crate::meta::validate::labels(&meta["labels"], &path.child("labels"), &mut errors);
    let annotations = path.child("annotations");
    crate::meta::validate::annotations(&meta["annotations"], &annotations, &mut errors);
    errors.extend(metadata(&meta["annotations"], body, &annotations));
    let path = path.child("spec");
    errors.extend(spec(body, &path, Owner::Template));
    if !items(body, "ephemeralContainers").is_empty() {
        let detail = "ephemeral containers not allowed in pod template";
        errors.push(Error::forbidden(&path.child("ephemeralContainers"), detail));
    }
    let policy = text(body, "restartPolicy");
    if policy != "Always" {
        let path = path.child("restartPolicy");
        errors.push(Error::not_supported(&path, policy, &["Always"]));
    }
    if has(body, "activeDeadlineSeconds") {
        let detail = format!("activeDeadlineSeconds in {workload} is not Supported");
        let path = path.child("activeDeadlineSeconds");
        errors.push(Error::forbidden(&path, detail));
    }
    errors
}
