//! The problems of probes and lifecycle hooks.

use serde_json::Value;

use crate::field::{Error, Path};
use crate::kinds::check::{in_range, not_negative, one_of, port};
use crate::kinds::read::{has, int, items, text};

/// The ways to ask a container something, in the order they are checked.
const HANDLERS: &[&str] = &["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

pub(super) fn probes(errors: &mut Vec<Error>, spec: &Value, container: &Value, path: &Path) {
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = &container[field];
        if probe.is_null() {
            continue;
        }
        let path = path.child(field);
        handler(errors, spec, probe, &path);
        for field in [
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        ] {
            not_negative(errors, &path, probe, field);
        }
        let grace = int(probe, "terminationGracePeriodSeconds");
        let at = path.child("terminationGracePeriodSeconds");
        if let Some(seconds) = grace.filter(|s| *s <= 0) {
            errors.push(Error::invalid(&at, seconds, "must be greater than 0"));
        }
        if field == "readinessProbe" {
            if let Some(seconds) = grace {
                let detail = "must not be set for readinessProbes";
                errors.push(Error::invalid(&at, seconds, detail));
            }
        } else if let Some(times) = int(probe, "successThreshold").filter(|t| *t != 1) {
            let path = path.child("successThreshold");
            errors.push(Error::invalid(&path, times, "must be 1"));
        }
    }
}

pub(super) fn lifecycle(errors: &mut Vec<Error>, spec: &Value, container: &Value, path: &Path) {
    let lifecycle = &container["lifecycle"];
    let path = path.child("lifecycle");
    for hook in ["postStart", "preStop"] {
        if has(lifecycle, hook) {
            handler(errors, spec, &lifecycle[hook], &path.child(hook));
        }
    }
}

fn handler(errors: &mut Vec<Error>, spec: &Value, handler: &Value, path: &Path) {
    let mut found = HANDLERS.iter().filter(|h| has(handler, h));
    let Some(first) = found.next() else {
        return errors.push(Error::required(path, "must specify a handler type"));
    };
    action(errors, spec, first, &handler[*first], &path.child(first));
    for other in found {
        let detail = "may not specify more than 1 handler type";
        errors.push(Error::forbidden(&path.child(other), detail));
    }
}

fn action(errors: &mut Vec<Error>, spec: &Value, kind: &str, action: &Value, path: &Path) {
    match kind {
        "exec" => {
            if items(action, "command").is_empty() {
                errors.push(Error::required(&path.child("command"), ""));
            }
        }
        "httpGet" => http(errors, action, path),
        "tcpSocket" => port(errors, &path.child("port"), &action["port"]),
        "grpc" => {
            let number = int(action, "port").unwrap_or(0);
            in_range(errors, &path.child("port"), number, 1, 65535);
        }
        _ => {
            let seconds = int(action, "seconds").unwrap_or(0);
            let grace = int(spec, "terminationGracePeriodSeconds").unwrap_or(i64::MAX);
            if !(0..=grace).contains(&seconds) {
                let detail = format!(
                    "must be non-negative and less than terminationGracePeriodSeconds ({grace})"
                );
                errors.push(Error::invalid(path, seconds, detail));
            }
        }
    }
}

fn http(errors: &mut Vec<Error>, action: &Value, path: &Path) {
    if text(action, "path").is_empty() {
        errors.push(Error::required(&path.child("path"), ""));
    }
    port(errors, &path.child("port"), &action["port"]);
    let scheme = text(action, "scheme");
    let schemes = &["HTTP", "HTTPS"];
    one_of(errors, &path.child("scheme"), scheme, schemes, false);
    for header in items(action, "httpHeaders") {
        let name = text(header, "name");
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name.is_empty() || !name.chars().all(plain) {
            let detail = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
            let path = path.child("httpHeaders");
            errors.push(Error::invalid(&path, name, detail));
        }
    }
}

/// The time that a Pod may take to end.
pub(super) fn grace(errors: &mut Vec<Error>, spec: &Value, path: &Path) {
    not_negative(errors, path, spec, "terminationGracePeriodSeconds");
}
