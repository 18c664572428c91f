//! The problems of containers of all three kinds.

use std::collections::BTreeSet;

use serde_json::Value;

use super::volume::Volumes;
use super::{CONTAINERS, Owner, env, probe, resources, security, volume};
use crate::field::{Error, Path};
use crate::kinds::check::{in_range, one_of, optional_one_of, problems};
use crate::kinds::read::{flag, has, int, items, text};
use crate::meta::name;

/// The list that a container stands in, which decides what it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Main,
    Init,
    Ephemeral,
}

/// Adds the problems of all containers of a spec.
pub(super) fn validate(
    errors: &mut Vec<Error>,
    spec: &Value,
    path: &Path,
    volumes: &Volumes<'_>,
    owner: Owner,
) {
    if items(spec, "containers").is_empty() {
        errors.push(Error::required(&path.child("containers"), ""));
    }
    let mut names = BTreeSet::new();
    let lists = [List::Main, List::Init, List::Ephemeral];
    for (list, field) in lists.into_iter().zip(CONTAINERS) {
        let path = path.child(field);
        for (at, container) in items(spec, field).iter().enumerate() {
            let path = path.index(at);
            common(errors, spec, container, &path, volumes);
            let name = text(container, "name");
            if list == List::Init {
                init(errors, spec, container, &path);
            }
            if !names.insert(name) && (list == List::Main || !name.is_empty()) {
                errors.push(Error::duplicate(&path.child("name"), name));
            }
            match list {
                List::Main => main(errors, spec, container, &path),
                List::Init => {}
                List::Ephemeral => ephemeral(errors, spec, container, &path),
            }
        }
        if list == List::Main {
            host_ports(errors, items(spec, field), &path);
        }
    }
    if owner == Owner::Pod {
        image_spaces(errors, spec, path);
    }
}

/// Pods, unlike templates, may not have white space around the names of images.
fn image_spaces(errors: &mut Vec<Error>, spec: &Value, path: &Path) {
    for field in CONTAINERS {
        for (at, container) in items(spec, field).iter().enumerate() {
            let image = text(container, "image");
            if image.trim() != image {
                let path = path.child(field).index(at).child("image");
                let detail = "must not have leading or trailing whitespace";
                errors.push(Error::invalid(&path, image, detail));
            }
        }
    }
}

/// What all containers have in common.
fn common(
    errors: &mut Vec<Error>,
    spec: &Value,
    container: &Value,
    path: &Path,
    volumes: &Volumes<'_>,
) {
    let name = text(container, "name");
    if name.is_empty() {
        errors.push(Error::required(&path.child("name"), ""));
    } else {
        problems(errors, &path.child("name"), name, name::dns1123_label(name));
    }
    if text(container, "image").is_empty() {
        errors.push(Error::required(&path.child("image"), ""));
    }
    one_of(
        errors,
        &path.child("terminationMessagePolicy"),
        text(container, "terminationMessagePolicy"),
        &["File", "FallbackToLogsOnError"],
        true,
    );
    ports(errors, container, &path.child("ports"));
    env::variables(errors, container, &path.child("env"));
    env::sources(errors, container, &path.child("envFrom"));
    volume::mounts(errors, container, volumes, path);
    one_of(
        errors,
        &path.child("imagePullPolicy"),
        text(container, "imagePullPolicy"),
        &["Always", "IfNotPresent", "Never"],
        true,
    );
    resources::requirements(errors, &container["resources"], &path.child("resources"));
    resize(errors, spec, container, &path.child("resizePolicy"));
    let path = path.child("securityContext");
    security::container(errors, spec, container, &path);
}

fn ports(errors: &mut Vec<Error>, container: &Value, path: &Path) {
    let mut names = BTreeSet::new();
    for (at, port) in items(container, "ports").iter().enumerate() {
        let path = path.index(at);
        let name = text(port, "name");
        if !name.is_empty() {
            let path = path.child("name");
            let found = name::port_name(name);
            if found.is_empty() && !names.insert(name) {
                errors.push(Error::duplicate(&path, name));
            }
            problems(errors, &path, name, found);
        }
        let number = path.child("containerPort");
        match int(port, "containerPort").unwrap_or(0) {
            0 => errors.push(Error::required(&number, "")),
            port => in_range(errors, &number, port, 1, 65535),
        }
        if let Some(host) = int(port, "hostPort").filter(|p| *p != 0) {
            in_range(errors, &path.child("hostPort"), host, 1, 65535);
        }
        let protocols = &["SCTP", "TCP", "UDP"];
        let path = path.child("protocol");
        one_of(errors, &path, text(port, "protocol"), protocols, true);
    }
}

/// A port of the host can be used once by the containers that run together.
fn host_ports(errors: &mut Vec<Error>, containers: &[Value], path: &Path) {
    let mut used = BTreeSet::new();
    for (at, container) in containers.iter().enumerate() {
        let path = path.index(at).child("ports");
        for (at, port) in items(container, "ports").iter().enumerate() {
            let number = int(port, "hostPort").unwrap_or(0);
            let key = format!(
                "{}/{}/{number}",
                text(port, "protocol"),
                text(port, "hostIP")
            );
            if number != 0 && !used.insert(key.clone()) {
                let path = path.index(at).child("hostPort");
                errors.push(Error::duplicate(&path, key));
            }
        }
    }
}

fn resize(errors: &mut Vec<Error>, spec: &Value, container: &Value, path: &Path) {
    let policies = items(container, "resizePolicy");
    for (at, policy) in policies.iter().enumerate() {
        let name = text(policy, "resourceName");
        let same = |p: &Value| text(p, "resourceName") == name;
        if policies[..at].iter().any(same) {
            errors.push(Error::duplicate(&path.index(at), name));
        }
        one_of(errors, path, name, &["cpu", "memory"], true);
        let restart = text(policy, "restartPolicy");
        let allowed = &["NotRequired", "RestartContainer"];
        one_of(errors, path, restart, allowed, true);
        if text(spec, "restartPolicy") == "Never" && restart != "NotRequired" {
            let detail = "must be 'NotRequired' when pod `restartPolicy` is 'Never'";
            errors.push(Error::invalid(path, restart, detail));
        }
    }
}

fn main(errors: &mut Vec<Error>, spec: &Value, container: &Value, path: &Path) {
    probe::lifecycle(errors, spec, container, path);
    probe::probes(errors, spec, container, path);
    restart_rules(errors, container, path);
}

fn init(errors: &mut Vec<Error>, spec: &Value, container: &Value, path: &Path) {
    restart_rules(errors, container, path);
    if text(container, "restartPolicy") == "Always" {
        probe::lifecycle(errors, spec, container, path);
        probe::probes(errors, spec, container, path);
        return;
    }
    for field in [
        "lifecycle",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
    ] {
        if has(container, field) {
            let detail = "may not be set for init containers without restartPolicy=Always";
            errors.push(Error::forbidden(&path.child(field), detail));
        }
    }
}

/// When a container restarts apart from the policy of its pod (KEP-5307).
fn restart_rules(errors: &mut Vec<Error>, container: &Value, path: &Path) {
    const RULES: usize = 20;
    const CODES: usize = 255;
    let rules = items(container, "restartPolicyRules");
    if has(container, "restartPolicy") {
        let allowed = &["Always", "Never", "OnFailure"];
        optional_one_of(errors, path, container, "restartPolicy", allowed);
    } else if !rules.is_empty() {
        let detail = "must specify restartPolicy when restart rules are used";
        errors.push(Error::required(&path.child("restartPolicy"), detail));
    }
    let path = path.child("restartPolicyRules");
    if rules.len() > RULES {
        errors.push(Error::too_many(&path, rules.len(), RULES));
    }
    for (at, rule) in rules.iter().enumerate() {
        let path = path.index(at);
        let allowed = &["Restart", "RestartAllContainers"];
        one_of(
            errors,
            &path.child("action"),
            text(rule, "action"),
            allowed,
            false,
        );
        let codes = &rule["exitCodes"];
        let path = path.child("exitCodes");
        if codes.is_null() {
            errors.push(Error::required(&path, "must be specified"));
            continue;
        }
        let operator = path.child("operator");
        one_of(
            errors,
            &operator,
            text(codes, "operator"),
            &["In", "NotIn"],
            false,
        );
        let count = items(codes, "values").len();
        if count > CODES {
            errors.push(Error::too_many(&path.child("values"), count, CODES));
        }
    }
}

/// A container that is added to look around is no part of what the pod does.
fn ephemeral(errors: &mut Vec<Error>, spec: &Value, container: &Value, path: &Path) {
    const REFUSED: &[&str] = &[
        "ports",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
        "lifecycle",
        "resizePolicy",
        "restartPolicy",
        "restartPolicyRules",
    ];
    const DETAIL: &str = "cannot be set for an Ephemeral Container";
    let target = text(container, "targetContainerName");
    let known = ["containers", "initContainers"]
        .iter()
        .flat_map(|list| items(spec, list))
        .any(|c| text(c, "name") == target);
    if !target.is_empty() && !known {
        let path = path.child("targetContainerName");
        errors.push(Error::not_found(&path, target));
    }
    for field in REFUSED.iter().filter(|f| has(container, f)) {
        errors.push(Error::forbidden(&path.child(field), DETAIL));
    }
    if container["resources"]
        .as_object()
        .is_some_and(|r| !r.is_empty())
    {
        errors.push(Error::forbidden(&path.child("resources"), DETAIL));
    }
    for (at, mount) in items(container, "volumeMounts").iter().enumerate() {
        for field in ["subPath", "subPathExpr"] {
            if !text(mount, field).is_empty() {
                let path = path.child("volumeMounts").index(at).child(field);
                errors.push(Error::forbidden(&path, DETAIL));
            }
        }
    }
}

/// Whether a container may do all that the host's root may.
pub(super) fn privileged(container: &Value) -> bool {
    flag(&container["securityContext"], "privileged")
}
