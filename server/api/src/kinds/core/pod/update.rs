//! What an update of a Pod may change: hardly anything, once it exists.

use serde_json::Value;

use super::{difference, spec};
use crate::field::{Error, Path};
use crate::kind::Part;
use crate::kinds::read::{carry, has, int, items, items_mut, remove, text};
use crate::meta::name;

const MUTABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Puts back what a request to `part` may not change.
pub(super) fn prepare(part: Part, new: &mut Value, stored: &Value) {
    match part {
        Part::Main => carry(stored, new, "status"),
        Part::Status => status(new, stored),
        Part::Other("ephemeralcontainers") => {
            let added = new["spec"].get("ephemeralContainers").cloned();
            *new = keep_all_but_version(new, stored);
            match added {
                Some(added) => new["spec"]["ephemeralContainers"] = added,
                None => remove(&mut new["spec"], "ephemeralContainers"),
            }
        }
        Part::Other("resize") => resize(new, stored),
        Part::Other(_) => {}
    }
    let generation = int(&stored["metadata"], "generation").unwrap_or(0);
    // To get a node is no wish of anybody, and no new generation.
    let wished = part != Part::Other("binding") && new["spec"] != stored["spec"];
    let raised = i64::from(wished);
    if generation + raised > 0 {
        new["metadata"]["generation"] = (generation + raised).into();
    }
}

/// The status alone; its owners and its end are not the node's to change.
fn status(new: &mut Value, stored: &Value) {
    carry(stored, new, "spec");
    for field in [
        "ownerReferences",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        carry(&stored["metadata"], &mut new["metadata"], field);
    }
    if text(&new["status"], "qosClass").is_empty() {
        carry(&stored["status"], &mut new["status"], "qosClass");
    }
    for field in ["resourceClaimStatuses", "extendedResourceClaimStatus"] {
        if !has(&new["status"], field) {
            carry(&stored["status"], &mut new["status"], field);
        }
    }
    observed(&mut new["status"], &stored["status"]);
}

/// Clients that don't know `observedGeneration` leave it as it was.
fn observed(new: &mut Value, stored: &Value) {
    const FIELD: &str = "observedGeneration";
    if !has(new, FIELD) {
        carry(stored, new, FIELD);
    }
    for condition in items_mut(new, "conditions") {
        if has(condition, FIELD) {
            continue;
        }
        let kind = text(condition, "type");
        let before = items(stored, "conditions")
            .iter()
            .find(|c| text(c, "type") == kind)
            .cloned();
        if let Some(before) = before {
            carry(&before, condition, FIELD);
        }
    }
}

/// The stored object with the version and the managers of the request.
fn keep_all_but_version(new: &Value, stored: &Value) -> Value {
    let mut kept = stored.clone();
    for field in ["resourceVersion", "managedFields"] {
        carry(&new["metadata"], &mut kept["metadata"], field);
    }
    kept
}

/// The resources of containers alone. Added or renamed ones stay, for validation to refuse.
fn resize(new: &mut Value, stored: &Value) {
    let mut kept = keep_all_but_version(new, stored);
    for list in ["containers", "initContainers"] {
        let (wanted, have) = (items(&new["spec"], list), items(&stored["spec"], list));
        let same = |(a, b): (&Value, &Value)| text(a, "name") == text(b, "name");
        if wanted.len() != have.len() || !wanted.iter().zip(have).all(same) {
            return;
        }
        for (kept, wanted) in items_mut(&mut kept["spec"], list).iter_mut().zip(wanted) {
            carry(wanted, kept, "resources");
            carry(wanted, kept, "resizePolicy");
        }
    }
    *new = kept;
}

/// All changes that are not allowed.
pub(super) fn validate(part: Part, new: &Value, stored: &Value) -> Vec<Error> {
    match part {
        Part::Main => main(new, stored),
        Part::Status => status_problems(&new["status"], stored),
        Part::Other("ephemeralcontainers") => ephemeral(new, stored),
        Part::Other("resize") => resized(new, stored),
        Part::Other(_) => Vec::new(),
    }
}

fn main(new: &Value, stored: &Value) -> Vec<Error> {
    let (new, old) = (&new["spec"], &stored["spec"]);
    let path = Path::new("spec");
    for list in ["containers", "initContainers"] {
        if items(new, list).len() != items(old, list).len() {
            let detail = "pod updates may not add or remove containers";
            return vec![Error::forbidden(&path.child(list), detail)];
        }
    }
    let mut errors = Vec::new();
    deadline(&mut errors, new, old, &path.child("activeDeadlineSeconds"));
    added_tolerations(&mut errors, new, old, &path.child("tolerations"));
    removed_gates(&mut errors, new, old, &path.child("schedulingGates"));
    let mut allowed = allowed_changes(new, old);
    if !items(old, "schedulingGates").is_empty() {
        gated(&mut errors, &mut allowed, old, &path);
    }
    if allowed != *old {
        let detail = format!(
            "pod updates may not change fields other than {MUTABLE}\n{}",
            difference::between(old, &allowed)
        );
        errors.push(Error::forbidden(&path, detail));
    }
    errors
}

/// The new spec without the changes that are allowed: what remains must equal the stored one.
fn allowed_changes(new: &Value, old: &Value) -> Value {
    let mut munged = new.clone();
    for list in ["containers", "initContainers"] {
        let olds = items(old, list);
        for (container, old) in items_mut(&mut munged, list).iter_mut().zip(olds) {
            carry(old, container, "image");
        }
    }
    for field in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        carry(old, &mut munged, field);
    }
    let grace = "terminationGracePeriodSeconds";
    if int(old, grace).is_some_and(|s| s < 0) && int(new, grace) == Some(1) {
        carry(old, &mut munged, grace);
    }
    munged
}

fn deadline(errors: &mut Vec<Error>, new: &Value, old: &Value, path: &Path) {
    let field = "activeDeadlineSeconds";
    match (int(new, field), int(old, field)) {
        (Some(new), Some(old)) if new > old => {
            let detail = "must be less than or equal to previous value";
            errors.push(Error::invalid(path, new, detail));
        }
        (None, Some(_)) => {
            let detail = "must not update from a positive integer to nil value";
            errors.push(Error::invalid(path, Value::Null, detail));
        }
        _ => {}
    }
}

/// Tolerations stay, but for how long they last, and others may be added.
fn added_tolerations(errors: &mut Vec<Error>, new: &Value, old: &Value, path: &Path) {
    let without_time = |toleration: &Value| {
        let mut toleration = toleration.clone();
        remove(&mut toleration, "tolerationSeconds");
        toleration
    };
    let now: Vec<Value> = items(new, "tolerations").iter().map(without_time).collect();
    let mut before = items(old, "tolerations").iter().map(without_time);
    if !before.all(|old| now.contains(&old)) {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        errors.push(Error::forbidden(path, detail));
    }
}

fn removed_gates(errors: &mut Vec<Error>, new: &Value, old: &Value, path: &Path) {
    let before = items(old, "schedulingGates");
    for (at, gate) in items(new, "schedulingGates").iter().enumerate() {
        if !before.contains(gate) {
            let name = text(gate, "name");
            let detail =
                format!("only deletion is allowed, but found new scheduling gate '{name}'");
            errors.push(Error::forbidden(&path.index(at).child("name"), detail));
        }
    }
}

/// As long as a Pod may not be scheduled, the nodes that it may run on can be narrowed (KEP-3838).
fn gated(errors: &mut Vec<Error>, munged: &mut Value, old: &Value, path: &Path) {
    let path = path.child("nodeSelector");
    let (new_labels, old_labels) = (&munged["nodeSelector"], &old["nodeSelector"]);
    let kept = crate::kinds::read::entries(old, "nodeSelector")
        .all(|(key, value)| new_labels.get(key) == Some(value));
    if new_labels != old_labels && !kept {
        let detail = "only additions are allowed (no mutations or deletions)";
        errors.push(Error::invalid(&path, new_labels.clone(), detail));
    }
    carry(old, munged, "nodeSelector");
}

fn status_problems(status: &Value, stored: &Value) -> Vec<Error> {
    const SYSTEM: &[&str] = &["PodScheduled", "Ready", "Initialized"];
    let path = Path::new("status");
    let mut errors = Vec::new();
    for (at, condition) in items(status, "conditions").iter().enumerate() {
        let kind = text(condition, "type");
        if !SYSTEM.contains(&kind) {
            let path = path.child("conditions").index(at).child("Type");
            crate::kinds::check::qualified_name(&mut errors, &path, kind);
        }
    }
    let nominated = text(status, "nominatedNodeName");
    if !nominated.is_empty() && nominated != text(&stored["status"], "nominatedNodeName") {
        let path = path.child("nominatedNodeName");
        let found = name::dns1123_subdomain(nominated);
        crate::kinds::check::problems(&mut errors, &path, nominated, found);
        if !text(&stored["spec"], "nodeName").is_empty() {
            let detail = "may not be set on pods that are already bound to a node";
            errors.push(Error::forbidden(&path, detail));
        }
    }
    let class = text(status, "qosClass");
    if class != text(&stored["status"], "qosClass") {
        let path = path.child("qosClass");
        errors.push(Error::invalid(&path, class, "field is immutable"));
    }
    terminated(&mut errors, status, stored, &path);
    errors
}

/// A container that does not restart stays ended.
fn terminated(errors: &mut Vec<Error>, status: &Value, stored: &Value, path: &Path) {
    let spec = &stored["spec"];
    let policy = text(spec, "restartPolicy");
    if policy == "Always" {
        return;
    }
    let containers = items(spec, "containers");
    let before = items(&stored["status"], "containerStatuses");
    for (at, old) in before.iter().enumerate() {
        let name = text(old, "name");
        let end = &old["state"]["terminated"];
        let own = containers.iter().find(|c| text(c, "name") == name);
        let restarts = own.is_some_and(|c| has(c, "restartPolicy"))
            || (policy == "OnFailure" && int(end, "exitCode").unwrap_or(0) != 0);
        let new = items(status, "containerStatuses")
            .iter()
            .find(|c| text(c, "name") == name);
        let alive = new.is_some_and(|c| !has(&c["state"], "terminated"));
        if has(&old["state"], "terminated") && alive && !restarts {
            let path = path.child("containerStatuses").index(at).child("state");
            let detail = "may not be transitioned to non-terminated state";
            errors.push(Error::forbidden(&path, detail));
        }
    }
}

fn ephemeral(new: &Value, stored: &Value) -> Vec<Error> {
    const LIST: &str = "ephemeralContainers";
    const MIRROR: &str = "kubernetes.io/config.mirror";
    if has(&stored["metadata"]["annotations"], MIRROR) {
        let detail = "static pods do not support ephemeral containers";
        return vec![Error::forbidden(&Path::default(), detail)];
    }
    let path = Path::new("spec").child(LIST);
    let now = items(&new["spec"], LIST);
    let mut errors = Vec::new();
    for old in items(&stored["spec"], LIST) {
        let name = text(old, "name");
        let detail = match now.iter().find(|c| text(c, "name") == name) {
            None => format!("existing ephemeral containers {name:?} may not be removed\n"),
            Some(new) if new != old => {
                let difference = difference::between(old, new);
                format!("existing ephemeral containers {name:?} may not be changed\n{difference}")
            }
            Some(_) => continue,
        };
        errors.push(Error::forbidden(&path, detail));
    }
    errors
}

fn resized(new: &Value, stored: &Value) -> Vec<Error> {
    let path = Path::new("spec");
    let (spec, old) = (&new["spec"], &stored["spec"]);
    let mut errors = Vec::new();
    let class = spec::qos::class(spec);
    if class != text(&stored["status"], "qosClass") {
        let detail = "Pod QOS Class may not change as a result of resizing";
        let shown = text(&new["status"], "qosClass");
        errors.push(Error::invalid(&path, shown, detail));
    }
    for list in ["containers", "initContainers"] {
        let (now, before) = (items(spec, list), items(old, list));
        if now.len() != before.len() {
            let detail = format!("{list} may not be added or removed on resize");
            errors.push(Error::forbidden(&path, detail));
            continue;
        }
        for (at, (now, before)) in now.iter().zip(before).enumerate() {
            let path = path.child(list).index(at);
            if text(now, "name") != text(before, "name") {
                let detail = "containers may not be renamed or reordered on resize";
                errors.push(Error::forbidden(&path.child("name"), detail));
            } else {
                resized_container(&mut errors, now, before, &path.child("resources"));
            }
        }
    }
    errors
}

/// Amounts change, but neither appear nor vanish.
fn resized_container(errors: &mut Vec<Error>, now: &Value, before: &Value, path: &Path) {
    for list in ["limits", "requests"] {
        let (now, before) = (&now["resources"][list], &before["resources"][list]);
        for name in ["cpu", "memory"] {
            if has(before, name) && !has(now, name) {
                let path = path.child(list);
                let detail = format!("resource {list} cannot be removed");
                errors.push(Error::forbidden(&path, detail));
            }
        }
        let others = |object: &Value| -> Vec<(String, Value)> {
            let entries = object.as_object().into_iter().flatten();
            entries
                .filter(|(name, _)| !matches!(name.as_str(), "cpu" | "memory"))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        };
        if others(now) != others(before) {
            let path = Path::new("spec");
            let detail = "only cpu and memory resources are mutable";
            errors.push(Error::forbidden(&path, detail));
        }
    }
}
