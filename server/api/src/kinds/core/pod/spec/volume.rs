//! The problems of volumes and of where containers mount them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{container, volume_source};
use crate::field::{Error, Path};
use crate::kinds::check::{descending, one_of, problems};
use crate::kinds::read::{has, items, text};
use crate::meta::name;

/// The volumes without problems, by name.
pub(super) type Volumes<'a> = BTreeMap<&'a str, &'a Value>;

/// Adds the problems of all volumes, and gives those that mounts may name.
pub(super) fn validate<'a>(errors: &mut Vec<Error>, spec: &'a Value, path: &Path) -> Volumes<'a> {
    let mut good = Volumes::new();
    for (at, volume) in items(spec, "volumes").iter().enumerate() {
        let path = path.child("volumes").index(at);
        let before = errors.len();
        volume_source::validate(errors, volume, &path);
        let name = text(volume, "name");
        let path = path.child("name");
        if name.is_empty() {
            errors.push(Error::required(&path, ""));
        } else {
            problems(errors, &path, name, name::dns1123_label(name));
        }
        if good.contains_key(name) {
            errors.push(Error::duplicate(&path, name));
        }
        if errors.len() == before {
            good.insert(name, volume);
        }
    }
    good
}

/// Adds the problems of what a container mounts, files and devices.
pub(super) fn mounts(
    errors: &mut Vec<Error>,
    container: &Value,
    volumes: &Volumes<'_>,
    path: &Path,
) {
    let list = path.child("volumeMounts");
    let devices = items(container, "volumeDevices");
    let mut used = BTreeSet::new();
    for (at, mount) in items(container, "volumeMounts").iter().enumerate() {
        let path = list.index(at);
        named(errors, mount, volumes, &path);
        let target = text(mount, "mountPath");
        let at = path.child("mountPath");
        if target.is_empty() {
            errors.push(Error::required(&at, ""));
        }
        if !used.insert(target) {
            errors.push(Error::invalid(&at, target, "must be unique"));
        }
        if devices
            .iter()
            .any(|d| text(d, "name") == text(mount, "name"))
        {
            let detail = "must not already exist in volumeDevices";
            let path = path.child("name");
            errors.push(Error::invalid(&path, text(mount, "name"), detail));
        }
        if devices.iter().any(|d| text(d, "devicePath") == target) {
            let detail = "must not already exist as a path in volumeDevices";
            errors.push(Error::invalid(&at, target, detail));
        }
        sub_paths(errors, mount, &path, &list);
        options(errors, container, mount, &list);
    }
    for (at, device) in devices.iter().enumerate() {
        let path = path.child("volumeDevices").index(at);
        self::device(errors, device, volumes, &path);
    }
}

fn named(errors: &mut Vec<Error>, mount: &Value, volumes: &Volumes<'_>, path: &Path) {
    let name = text(mount, "name");
    let path = path.child("name");
    if name.is_empty() {
        errors.push(Error::required(&path, ""));
    }
    if !volumes.contains_key(name) {
        errors.push(Error::not_found(&path, name));
    }
}

/// Problems of paths are reported at the list: Kubernetes leaves out the index.
fn sub_paths(errors: &mut Vec<Error>, mount: &Value, path: &Path, list: &Path) {
    let (plain, expanded) = (text(mount, "subPath"), text(mount, "subPathExpr"));
    if !plain.is_empty() {
        descending(errors, &list.child("subPath"), plain);
    }
    if !expanded.is_empty() {
        if !plain.is_empty() {
            let detail = "subPathExpr and subPath are mutually exclusive";
            errors.push(Error::invalid(&path.child("subPathExpr"), expanded, detail));
        }
        descending(errors, &list.child("subPathExpr"), expanded);
    }
}

fn options(errors: &mut Vec<Error>, container: &Value, mount: &Value, list: &Path) {
    if has(mount, "mountPropagation") {
        let mode = text(mount, "mountPropagation");
        let path = list.child("mountPropagation");
        let modes = &["Bidirectional", "HostToContainer", "None"];
        one_of(errors, &path, mode, modes, false);
        if mode == "Bidirectional" && !container::privileged(container) {
            let detail =
                "Bidirectional mount propagation is available only to privileged containers";
            errors.push(Error::forbidden(&path, detail));
        }
    }
    let recursive = text(mount, "recursiveReadOnly");
    if matches!(recursive, "Enabled" | "IfPossible") {
        let path = list.child("recursiveReadOnly");
        if !crate::kinds::read::flag(mount, "readOnly") {
            let detail = "may only be specified when readOnly is true";
            errors.push(Error::forbidden(&path, detail));
        }
        if !matches!(text(mount, "mountPropagation"), "" | "None") {
            let detail = "may only be specified when mountPropagation is None or not specified";
            errors.push(Error::forbidden(&path, detail));
        }
    } else if has(mount, "recursiveReadOnly") {
        let allowed = &["Disabled", "IfPossible", "Enabled"];
        let path = list.child("recursiveReadOnly");
        one_of(errors, &path, recursive, allowed, false);
    }
}

/// Block devices come from claims alone.
fn device(errors: &mut Vec<Error>, device: &Value, volumes: &Volumes<'_>, path: &Path) {
    let name = text(device, "name");
    let at = path.child("name");
    if name.is_empty() {
        errors.push(Error::required(&at, ""));
    }
    match volumes.get(name) {
        Some(volume) if !has(volume, "persistentVolumeClaim") && !has(volume, "ephemeral") => {
            let detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
            errors.push(Error::invalid(&at, name, detail));
        }
        Some(_) => {}
        None => errors.push(Error::not_found(&at, name)),
    }
    if text(device, "devicePath").is_empty() {
        errors.push(Error::required(&path.child("devicePath"), ""));
    }
}
