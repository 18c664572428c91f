//! What is filled into the spec of a pod. Idempotent, and the same for Pods and templates.

use serde_json::{Map, Value, json};

use super::CONTAINERS;
use crate::kinds::read::{has, int, items_mut, part_mut, part_or_new, remove, set_default, text};
use crate::meta::quantity;

/// The mode of files in volumes that come from objects: 0644.
const FILE_MODE: i64 = 0o644;
/// The life of a projected token: an hour.
const TOKEN_SECONDS: i64 = 3600;
/// How long a pod may take to end.
const GRACE_SECONDS: i64 = 30;

/// Fills in what a spec leaves out.
pub(crate) fn spec(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    account(spec);
    set_default(spec, "dnsPolicy", "ClusterFirst");
    set_default(spec, "restartPolicy", "Always");
    set_default(spec, "securityContext", json!({}));
    set_default(spec, "terminationGracePeriodSeconds", GRACE_SECONDS);
    set_default(spec, "schedulerName", "default-scheduler");
    for volume in items_mut(spec, "volumes") {
        self::volume(volume);
    }
    for list in CONTAINERS {
        for container in items_mut(spec, list) {
            self::container(container);
        }
    }
    if let Some(overhead) = part_mut(spec, "overhead") {
        quantities(overhead);
    }
    resource_lists(spec);
}

/// `serviceAccount` is the old name of `serviceAccountName`; both are there or neither.
fn account(spec: &mut Value) {
    let name = match text(spec, "serviceAccountName") {
        "" => text(spec, "serviceAccount"),
        name => name,
    };
    if name.is_empty() {
        remove(spec, "serviceAccount");
        return;
    }
    let name = name.to_owned();
    spec["serviceAccount"] = name.clone().into();
    spec["serviceAccountName"] = name.into();
}

fn container(container: &mut Value) {
    if text(container, "imagePullPolicy").is_empty() {
        let policy = pull_policy(text(container, "image"));
        container["imagePullPolicy"] = policy.into();
    }
    set_default(container, "terminationMessagePath", "/dev/termination-log");
    set_default(container, "terminationMessagePolicy", "File");
    for port in items_mut(container, "ports") {
        set_default(port, "protocol", "TCP");
    }
    for env in items_mut(container, "env") {
        if let Some(source) = part_mut(env, "valueFrom") {
            downward(source);
            file_key(source);
        }
    }
    resource_lists(container);
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = part_mut(container, probe) {
            self::probe(probe);
        }
    }
    if let Some(lifecycle) = part_mut(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(hook) = part_mut(lifecycle, hook) {
                http_get(hook);
            }
        }
    }
}

/// Images that may change under their name are pulled each time.
fn pull_policy(image: &str) -> &'static str {
    if is_latest(image) {
        "Always"
    } else {
        "IfNotPresent"
    }
}

/// Whether `image` has the tag `latest`, or neither tag nor digest.
fn is_latest(image: &str) -> bool {
    let (name, digest) = match image.split_once('@') {
        Some((name, _)) => (name, true),
        None => (image, false),
    };
    let last = name.rsplit('/').next().unwrap_or_default();
    match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        // A name that can't be read has no tag at all.
        None => !digest && readable(name),
    }
}

/// Whether a name is a reference to an image: lower case, as registries want it.
fn readable(name: &str) -> bool {
    let path = name
        .split_once('/')
        .map_or(name, |(host, path)| match host {
            "localhost" => path,
            host if host.contains(['.', ':']) || host.chars().any(char::is_uppercase) => path,
            _ => name,
        });
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
    !path.is_empty() && path.chars().all(plain)
}

fn probe(probe: &mut Value) {
    for (field, value) in [
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ] {
        if int(probe, field).unwrap_or(0) == 0 {
            probe[field] = value.into();
        }
    }
    http_get(probe);
    if let Some(grpc) = part_mut(probe, "grpc") {
        set_default(grpc, "service", "");
    }
}

fn http_get(handler: &mut Value) {
    if let Some(action) = part_mut(handler, "httpGet") {
        set_default(action, "path", "/");
        set_default(action, "scheme", "HTTP");
    }
}

/// The fields of the pod that an environment variable or a file shows.
fn downward(source: &mut Value) {
    if let Some(field) = part_mut(source, "fieldRef") {
        set_default(field, "apiVersion", "v1");
    }
    if let Some(resource) = part_mut(source, "resourceFieldRef") {
        set_default(resource, "divisor", "0");
        canonical_quantity(&mut resource["divisor"]);
    }
}

fn file_key(source: &mut Value) {
    if let Some(file) = part_mut(source, "fileKeyRef") {
        set_default(file, "optional", false);
    }
}

fn volume(volume: &mut Value) {
    if volume
        .as_object()
        .is_some_and(|v| v.keys().all(|k| k == "name"))
    {
        volume["emptyDir"] = json!({});
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = part_mut(volume, source) {
            set_default(source, "defaultMode", FILE_MODE);
        }
    }
    if let Some(empty) = part_mut(volume, "emptyDir")
        && has(empty, "sizeLimit")
    {
        canonical_quantity(&mut empty["sizeLimit"]);
    }
    if let Some(path) = part_mut(volume, "hostPath") {
        set_default(path, "type", "");
    }
    if let Some(source) = part_mut(volume, "downwardAPI") {
        items_mut(source, "items").iter_mut().for_each(downward);
    }
    if let Some(source) = part_mut(volume, "projected") {
        items_mut(source, "sources").iter_mut().for_each(projection);
    }
    if let Some(image) = part_mut(volume, "image")
        && text(image, "pullPolicy").is_empty()
    {
        image["pullPolicy"] = pull_policy(text(image, "reference")).into();
    }
    if let Some(claim) = part_mut(volume, "ephemeral")
        .and_then(|e| part_mut(e, "volumeClaimTemplate"))
        .and_then(|t| part_mut(t, "spec"))
    {
        set_default(claim, "volumeMode", "Filesystem");
        resource_lists(claim);
    }
    for disk in ["iscsi", "rbd", "azureDisk", "scaleIO"] {
        if let Some(source) = part_mut(volume, disk) {
            network_disk(disk, source);
        }
    }
}

/// Kinds of disks that no node here can mount, but that clients may ask for.
fn network_disk(kind: &str, source: &mut Value) {
    let defaults: &[(&str, Value)] = &match kind {
        "iscsi" => vec![("iscsiInterface", json!("default"))],
        "rbd" => vec![
            ("pool", json!("rbd")),
            ("user", json!("admin")),
            ("keyring", json!("/etc/ceph/keyring")),
        ],
        "azureDisk" => vec![
            ("cachingMode", json!("ReadWrite")),
            ("kind", json!("Shared")),
            ("fsType", json!("ext4")),
            ("readOnly", json!(false)),
        ],
        _ => vec![
            ("storageMode", json!("ThinProvisioned")),
            ("fsType", json!("xfs")),
        ],
    };
    for (field, value) in defaults {
        set_default(source, field, value.clone());
    }
}

fn projection(source: &mut Value) {
    if let Some(token) = part_mut(source, "serviceAccountToken") {
        set_default(token, "expirationSeconds", TOKEN_SECONDS);
    }
    if let Some(fields) = part_mut(source, "downwardAPI") {
        items_mut(fields, "items").iter_mut().for_each(downward);
    }
}

/// Brings the quantities under `resources` into the form they are stored in.
pub(crate) fn resource_lists(owner: &mut Value) {
    if let Some(resources) = part_mut(owner, "resources") {
        for list in ["limits", "requests"] {
            if let Some(list) = part_mut(resources, list) {
                quantities(list);
            }
        }
    }
}

/// Amounts finer than a thousandth are rounded up.
pub(crate) fn quantities(list: &mut Value) {
    let Some(list) = list.as_object_mut() else {
        return;
    };
    for amount in list.values_mut() {
        canonical_quantity(amount);
        let parsed = amount.as_str().and_then(|a| a.parse().ok());
        if let Some(exact) = parsed.filter(|q: &quantity::Quantity| !is_milli(*q))
            && let Ok(milli) = i64::try_from(exact.milli())
        {
            *amount = quantity::Quantity::from_milli(milli).to_string().into();
        }
    }
}

fn is_milli(amount: quantity::Quantity) -> bool {
    i64::try_from(amount.milli()).is_ok_and(|m| quantity::Quantity::from_milli(m) == amount)
}

fn canonical_quantity(amount: &mut Value) {
    let text = match &*amount {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return,
    };
    match quantity::canonical(&text) {
        Ok(Some(canonical)) => *amount = canonical.into(),
        _ => *amount = text.into(),
    }
}

/// With the host's network, what a container listens on is a port of the host.
pub(crate) fn host_ports(spec: &mut Value) {
    for list in ["containers", "initContainers"] {
        for container in items_mut(spec, list) {
            for port in items_mut(container, "ports") {
                if int(port, "hostPort").unwrap_or(0) == 0 {
                    port["hostPort"] = port["containerPort"].clone();
                }
            }
        }
    }
}

/// Requests that are left out equal the limits.
pub(crate) fn requests_from_limits(spec: &mut Value) {
    for list in ["containers", "initContainers"] {
        for container in items_mut(spec, list) {
            let Some(limits) = container["resources"]["limits"].as_object().cloned() else {
                continue;
            };
            let requests = part_or_new(&mut container["resources"], "requests");
            fill(requests, limits);
        }
    }
}

fn fill(into: &mut Value, from: Map<String, Value>) {
    for (key, value) in from {
        set_default(into, &key, value);
    }
}
