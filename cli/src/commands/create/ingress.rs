//! `create ingress`: hosts and paths, and the services behind them.

use clap::Args;
use serde_json::{Value, json};

use super::Common;
use super::generators::one;
use crate::error::Result;

/// Which requests go to which services.
#[derive(Args, Debug)]
pub(crate) struct Ingress {
    /// The name
    words: Vec<String>,
    /// An annotation as key=value, repeatable
    #[arg(long)]
    annotation: Vec<String>,
    /// The class of the ingress
    #[arg(long)]
    class: Option<String>,
    /// The service for all other requests, as service:port
    #[arg(long)]
    default_backend: Option<String>,
    /// A rule as host/path=service:port, with ,tls or ,tls=secret at its end; repeatable
    #[arg(long)]
    rule: Vec<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// A rule taken apart.
struct Rule<'a> {
    host: &'a str,
    path: &'a str,
    backend: Value,
    /// The secret with the certificate, empty for the class's own.
    tls: Option<&'a str>,
}

impl Ingress {
    pub(super) fn object(&self) -> Result<Value> {
        let name = one(&self.words, "ingress")?;
        if self.rule.is_empty() && self.default_backend.is_none() {
            return Err("not enough information provided: every ingress has to either specify a default-backend (which catches all traffic) or a list of rules (which catch specific paths)".into());
        }
        let mut spec = json!({});
        let rules: Vec<Rule<'_>> = self.rule.iter().map(|r| rule(r)).collect::<Result<_>>()?;
        let mut metadata = json!({"name": name});
        for annotation in &self.annotation {
            let (key, value) = annotation.split_once('=').ok_or_else(|| {
                format!("annotation {annotation} is invalid and should be in format key=[value]")
            })?;
            metadata["annotations"][key] = value.into();
        }
        if let Some(class) = self.class.as_deref().filter(|c| !c.is_empty()) {
            spec["ingressClassName"] = class.into();
        }
        if let Some(service) = &self.default_backend {
            spec["defaultBackend"] = backend(service)
                .ok_or("default-backend should be in format servicename:serviceport")?;
        }
        if !rules.is_empty() {
            spec["rules"] = by_host(&rules);
        }
        let tls = certificates(&rules);
        if !tls.is_empty() {
            spec["tls"] = tls.into();
        }
        Ok(json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata,
            "spec": spec, "status": {"loadBalancer": {}},
        }))
    }
}

fn rule(text: &str) -> Result<Rule<'_>> {
    let (place, tls) = match text.split_once(',') {
        Some((place, "tls")) => (place, Some("")),
        Some((place, tls)) => (place, tls.strip_prefix("tls=")),
        None => (text, None),
    };
    let parts = place.split_once('/').and_then(|(host, rest)| {
        let (path, service) = rest.split_once('=')?;
        Some((host, path, backend(service)?))
    });
    match parts {
        Some((host, path, backend)) if tls.is_some() || !text.contains(',') => Ok(Rule {
            host,
            path,
            backend,
            tls,
        }),
        _ => Err(format!(
            "rule {text} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]"
        )
        .into()),
    }
}

/// A service and its port, by number or by name.
fn backend(text: &str) -> Option<Value> {
    let (service, port) = text
        .split_once(':')
        .filter(|(service, port)| !service.is_empty() && !port.is_empty())?;
    let port = match port.parse::<u16>() {
        Ok(number) => json!({"number": number}),
        Err(_) => json!({"name": port}),
    };
    Some(json!({"service": {"name": service, "port": port}}))
}

/// The rules, those of one host together.
fn by_host(rules: &[Rule<'_>]) -> Value {
    let mut hosts: Vec<(&str, Vec<Value>)> = Vec::new();
    for rule in rules {
        let (path, kind) = match rule.path.strip_suffix('*') {
            Some(prefix) => (prefix, "Prefix"),
            None => (rule.path, "Exact"),
        };
        let path = json!({"path": format!("/{path}"), "pathType": kind, "backend": rule.backend});
        match hosts.iter_mut().find(|(host, _)| *host == rule.host) {
            Some((_, paths)) => paths.push(path),
            None => hosts.push((rule.host, vec![path])),
        }
    }
    let hosts = hosts.into_iter().map(|(host, paths)| {
        let mut rule = json!({"http": {"paths": paths}});
        if !host.is_empty() {
            rule["host"] = host.into();
        }
        rule
    });
    hosts.collect()
}

/// The certificates, each host under the first secret that a rule names for it.
fn certificates(rules: &[Rule<'_>]) -> Vec<Value> {
    let mut secrets: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut seen = Vec::new();
    for rule in rules {
        let Some(secret) = rule.tls.filter(|_| !seen.contains(&rule.host)) else {
            continue;
        };
        seen.push(rule.host);
        match secrets.iter_mut().find(|(known, _)| *known == secret) {
            Some((_, hosts)) => hosts.push(rule.host),
            None => secrets.push((secret, vec![rule.host])),
        }
    }
    let entries = secrets.into_iter().map(|(secret, hosts)| {
        let mut entry = json!({});
        let hosts: Vec<&str> = hosts.into_iter().filter(|h| !h.is_empty()).collect();
        if !hosts.is_empty() {
            entry["hosts"] = hosts.into();
        }
        if !secret.is_empty() {
            entry["secretName"] = secret.into();
        }
        entry
    });
    entries.filter(|entry| *entry != json!({})).collect()
}
