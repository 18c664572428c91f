//! The problems of what a volume is made of.

use std::collections::BTreeSet;

use serde_json::Value;

use super::env;
use crate::field::{Error, Path};
use crate::kinds::check::{file_mode, file_path, no_backsteps, one_of, required};
use crate::kinds::read::{has, int, items, text};
use crate::meta::quantity::Quantity;

/// All sources there are, in the order they are checked.
const SOURCES: &[&str] = &[
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
];
const HOST_PATH_TYPES: &[&str] = &[
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
];
const TEN_MINUTES: i64 = 600;

/// Adds the problems of the sources of a volume: there must be one, and not more.
pub(super) fn validate(errors: &mut Vec<Error>, volume: &Value, path: &Path) {
    let mut given = SOURCES.iter().filter(|s| has(volume, s));
    match given.next() {
        Some(first) => source(errors, first, &volume[*first], &path.child(first)),
        None => errors.push(Error::required(path, "must specify a volume type")),
    }
    for other in given {
        let detail = "may not specify more than 1 volume type";
        errors.push(Error::forbidden(&path.child(other), detail));
    }
}

fn source(errors: &mut Vec<Error>, kind: &str, source: &Value, path: &Path) {
    match kind {
        "emptyDir" => {
            let limit = source["sizeLimit"].as_str().unwrap_or("0");
            if limit.parse::<Quantity>().is_ok_and(|q| q.sign() < 0) {
                let detail = "SizeLimit field must be a valid resource quantity";
                errors.push(Error::forbidden(&path.child("sizeLimit"), detail));
            }
        }
        "hostPath" => host_path(errors, source, path),
        "secret" => {
            required(errors, path, source, "secretName");
            keyed(errors, source, path);
        }
        "configMap" => {
            required(errors, path, source, "name");
            keyed(errors, source, path);
        }
        "downwardAPI" => {
            file_mode(errors, path, source, "defaultMode");
            for file in items(source, "items") {
                downward(errors, file, path);
            }
        }
        "projected" => {
            file_mode(errors, path, source, "defaultMode");
            projected(errors, source, path);
        }
        "persistentVolumeClaim" => required(errors, path, source, "claimName"),
        "nfs" => {
            required(errors, path, source, "server");
            required(errors, path, source, "path");
            let target = text(source, "path");
            if !target.is_empty() && !target.starts_with('/') {
                let path = path.child("path");
                errors.push(Error::invalid(&path, target, "must be an absolute path"));
            }
        }
        "csi" => required(errors, path, source, "driver"),
        "image" => {
            required(errors, path, source, "reference");
            let policies = &["Always", "IfNotPresent", "Never"];
            let path = path.child("pullPolicy");
            one_of(errors, &path, text(source, "pullPolicy"), policies, true);
        }
        "ephemeral" if !has(source, "volumeClaimTemplate") => {
            let path = path.child("volumeClaimTemplate");
            errors.push(Error::required(&path, ""));
        }
        // Disks of clouds and clusters that no node here mounts.
        _ => {}
    }
}

fn host_path(errors: &mut Vec<Error>, source: &Value, path: &Path) {
    let target = text(source, "path");
    if target.is_empty() {
        return errors.push(Error::required(&path.child("path"), ""));
    }
    no_backsteps(errors, &path.child("path"), target);
    let kind = text(source, "type");
    one_of(errors, &path.child("type"), kind, HOST_PATH_TYPES, false);
}

/// Files made from the keys of an object.
fn keyed(errors: &mut Vec<Error>, source: &Value, path: &Path) {
    file_mode(errors, path, source, "defaultMode");
    for (at, item) in items(source, "items").iter().enumerate() {
        key_to_path(errors, item, &path.child("items").index(at));
    }
}

fn key_to_path(errors: &mut Vec<Error>, item: &Value, path: &Path) {
    required(errors, path, item, "key");
    required(errors, path, item, "path");
    file_path(errors, &path.child("path"), text(item, "path"));
    file_mode(errors, path, item, "mode");
}

/// A file that shows a field of the pod.
fn downward(errors: &mut Vec<Error>, file: &Value, path: &Path) {
    required(errors, path, file, "path");
    file_path(errors, &path.child("path"), text(file, "path"));
    let resource = has(file, "resourceFieldRef");
    if has(file, "fieldRef") {
        let at = path.child("fieldRef");
        env::field(errors, &file["fieldRef"], env::FILE_FIELDS, &at);
        if resource {
            let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
            errors.push(Error::invalid(path, "resource", detail));
        }
    } else if resource {
        let path = path.child("resourceFieldRef");
        env::resource(errors, &file["resourceFieldRef"], &path, true);
    } else {
        let detail = "one of fieldRef and resourceFieldRef is required";
        errors.push(Error::required(path, detail));
    }
    file_mode(errors, path, file, "mode");
}

/// Several sources in one directory, whose files must not collide.
fn projected(errors: &mut Vec<Error>, volume: &Value, path: &Path) {
    let mut used = BTreeSet::new();
    for (at, source) in items(volume, "sources").iter().enumerate() {
        let each = path.child("sources").index(at);
        let mut count = 0;
        for kind in ["secret", "configMap"] {
            let projection = &source[kind];
            if projection.is_null() {
                continue;
            }
            count += 1;
            let at = each.child(kind);
            required(errors, &at, projection, "name");
            for (index, item) in items(projection, "items").iter().enumerate() {
                key_to_path(errors, item, &at.child("items").index(index));
                let shown = text(projection, "name");
                claim(errors, &mut used, text(item, "path"), shown, path);
            }
        }
        if has(source, "downwardAPI") {
            count += 1;
            for file in items(&source["downwardAPI"], "items") {
                downward(errors, file, &each.child("downwardAPI"));
                let target = text(file, "path");
                claim(errors, &mut used, target, target, path);
            }
        }
        if has(source, "serviceAccountToken") {
            count += 1;
            let at = each.child("serviceAccountToken");
            token(errors, &source["serviceAccountToken"], &at, path);
        }
        let others = ["clusterTrustBundle", "podCertificate"];
        count += others.iter().filter(|s| has(source, s)).count();
        if count > 1 {
            let detail = "may not specify more than 1 volume type per source";
            errors.push(Error::forbidden(&each, detail));
        }
    }
}

fn claim<'a>(
    errors: &mut Vec<Error>,
    used: &mut BTreeSet<&'a str>,
    target: &'a str,
    shown: &str,
    path: &Path,
) {
    if !target.is_empty() && !used.insert(target) {
        let detail = "conflicting duplicate paths";
        errors.push(Error::invalid(path, shown, detail));
    }
}

fn token(errors: &mut Vec<Error>, token: &Value, path: &Path, volume: &Path) {
    let at = path.child("expirationSeconds");
    match int(token, "expirationSeconds") {
        None => errors.push(Error::required(&at, "")),
        Some(seconds) if seconds < TEN_MINUTES => {
            let detail = "may not specify a duration less than 10 minutes";
            errors.push(Error::invalid(&at, seconds, detail));
        }
        Some(seconds) if seconds > 1 << 32 => {
            let detail = "may not specify a duration larger than 2^32 seconds";
            errors.push(Error::invalid(&at, seconds, detail));
        }
        Some(_) => {}
    }
    // Kubernetes reports the path at the volume.
    let target = text(token, "path");
    if target.is_empty() {
        errors.push(Error::required(&volume.child("path"), ""));
    } else {
        file_path(errors, &volume.child("path"), target);
    }
}
