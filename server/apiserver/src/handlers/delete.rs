//! `delete`: the end of an object, at once or when it is ready.
//!
//! ```text
//!            nothing holds it
//! object ────────────────────────────────────────────────► gone
//!    └─finalizers, or time to end─► deletionTimestamp ──the last holder lets go──┘
//! ```

use api::kind::Resource;
use api::meta;
use axum::response::Response;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use store::{Outcome, Write};

use super::write::{self, Current, commit, metadata};
use crate::admission::{Operation, Review};
use crate::body;
use crate::call::Call;
use crate::error::{self, Error, Result};
use crate::keys;
use crate::options::{DeleteOptions, Propagation};
use crate::policy;
use crate::record;
use crate::respond;

const OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
/// How long a pod has that does not say, in seconds.
const GRACE: i64 = 30;
/// How often a deletion is tried again when others write the same object.
const ATTEMPTS: usize = 16;

/// Deletes the object that the URL names.
pub(crate) async fn delete(call: &Call, body: &Bytes) -> Result<Response> {
    let options = options(call, body)?;
    let removed = remove(call, &call.name, &options).await?;
    let resource = call.resource();
    match removed {
        Removed::Gone { uid, .. } if !policy::returns_deleted(resource) => {
            let status = error::success(resource, &call.name, &uid);
            Ok(respond::value(call.form, 200, &status))
        }
        Removed::Gone { json, .. } | Removed::Ending { json } => respond::object(call, 200, json),
    }
}

/// The options in the body or the query.
pub(crate) fn options(call: &Call, body: &Bytes) -> Result<DeleteOptions> {
    if body.is_empty() {
        return DeleteOptions::parse(&call.query, None);
    }
    let parsed = body::parse(call, body, OPTIONS)?.map_err(Error::bad_request)?;
    let mut given = parsed.value;
    if !given.is_object() && !given.is_null() {
        return Err(Error::bad_request(format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go value of \
             type struct",
            body::json_type(&given)
        )));
    }
    let text = |field: &str| given[field].as_str().unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    if !matches!(kind, "" | "DeleteOptions") {
        let version = match version {
            "" => "meta.k8s.io/v1",
            version => version,
        };
        return Err(Error::bad_request(format!(
            "no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:111\""
        )));
    }
    let schema = api::schema::of(OPTIONS);
    let checked = schema.map(|schema| schema.check(&mut given));
    if let Some(why) = checked.and_then(|checked| checked.error) {
        return Err(Error::bad_request(why));
    }
    DeleteOptions::parse(&call.query, Some(&given))
}

/// What a deletion has done.
pub(crate) enum Removed {
    /// The object is gone; this was its text.
    Gone {
        /// Its text.
        json: Bytes,
        /// Its uid.
        uid: String,
    },
    /// The object is marked, and goes later.
    Ending {
        /// Its text.
        json: Bytes,
    },
}

/// Deletes an object of the call's kind and namespace.
pub(crate) async fn remove(call: &Call, name: &str, options: &DeleteOptions) -> Result<Removed> {
    let resource = call.resource();
    let missing = || Error::not_found(resource, name);
    call.app.cache.fresh().await?;
    let cache = call.app.cache.of(call.kind);
    let mut stored = cache.get(&call.namespace, name).map(|object| Current {
        value: object.value(),
        json: object.json.clone(),
        revision: object.revision,
    });
    for _ in 0..ATTEMPTS {
        let old = stored.ok_or_else(missing)?;
        preconditions(resource, name, options, &old)?;
        let review = Review {
            call,
            operation: Operation::Delete,
            part: api::kind::Part::Main,
            old: Some(&old.value),
        };
        let mut shown = old.value.clone();
        call.app.admission.admit(&review, &mut shown).await?;
        let Some(new) = marked(resource, options, &old.value, Timestamp::now()) else {
            return Ok(Removed::Ending { json: old.json });
        };
        let ends = write::has_ended(resource, &new);
        let key = keys::key(resource, &call.namespace, name);
        let record = record::encode(&new);
        if options.dry_run {
            return Ok(done(ends, &old, write::text(&new)));
        }
        let put = match ends {
            true => Write::Delete(key.clone()),
            false => Write::Put(key.clone(), record.clone()),
        };
        match commit(call, key, old.revision, put).await? {
            Outcome::Committed(revision) => {
                if policy::has_spec_finalizers(resource) {
                    // Nothing may be created in it from the moment of this answer.
                    call.app.cache.reach(revision).await?;
                }
                let json = record::json(&record, revision).unwrap_or_default();
                return Ok(done(ends, &old, json));
            }
            Outcome::Conflict(entry) => stored = write::reread(entry)?,
        }
    }
    Err(Error::modified(resource, name))
}

fn done(ends: bool, old: &Current, json: Bytes) -> Removed {
    match ends {
        true => Removed::Gone {
            json: old.json.clone(),
            uid: meta::uid(&old.value).to_owned(),
        },
        false => Removed::Ending { json },
    }
}

fn preconditions(
    resource: &Resource,
    name: &str,
    options: &DeleteOptions,
    old: &Current,
) -> Result<()> {
    if let Some(uid) = &options.uid
        && uid != meta::uid(&old.value)
    {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might \
             have been deleted and then recreated",
            meta::uid(&old.value)
        );
        return Err(Error::precondition(resource, name, &why));
    }
    if let Some(version) = &options.resource_version
        && *version != old.revision.to_string()
    {
        let why = format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in \
             record ({}). The object might have been modified",
            old.revision
        );
        return Err(Error::precondition(resource, name, &why));
    }
    Ok(())
}

/// The object as the deletion leaves it; `None` when it changes nothing. Whether that ends the object,
/// [`write::has_ended`] says.
fn marked(
    resource: &Resource,
    options: &DeleteOptions,
    old: &Value,
    now: Timestamp,
) -> Option<Value> {
    let grace = grace(resource, options, old);
    let mut new = old.clone();
    let finalizers = finalizers(options, old);
    let meta = metadata(&mut new);
    match finalizers.is_empty() {
        true => meta.remove("finalizers"),
        false => meta.insert("finalizers".into(), finalizers.into()),
    };
    let spec_finalizers = policy::has_spec_finalizers(resource);
    if meta::deletion_timestamp(old).is_some() {
        let left = old["metadata"]["deletionGracePeriodSeconds"]
            .as_i64()
            .unwrap_or(0);
        // A second deletion may shorten the time, never lengthen it.
        let shorter = policy::ends_gracefully(resource) && grace < left;
        if shorter {
            mark(&mut new, grace, now);
        }
        return (shorter || new != *old || write::has_ended(resource, &new)).then_some(new);
    }
    mark(&mut new, grace, now);
    let generation = meta::generation(old);
    if generation > 0 && !spec_finalizers {
        metadata(&mut new).insert("generation".into(), (generation + 1).into());
    }
    if spec_finalizers {
        metadata(&mut new).remove("deletionGracePeriodSeconds");
        new["status"]["phase"] = "Terminating".into();
    }
    Some(new)
}

fn mark(new: &mut Value, grace: i64, now: Timestamp) {
    let end = now + SignedDuration::from_secs(grace);
    let meta = metadata(new);
    meta.insert("deletionTimestamp".into(), meta::time::seconds(end).into());
    meta.insert("deletionGracePeriodSeconds".into(), grace.into());
}

/// The seconds that an object has to end.
fn grace(resource: &Resource, options: &DeleteOptions, old: &Value) -> i64 {
    if !policy::ends_gracefully(resource) {
        return 0;
    }
    let (spec, status) = (&old["spec"], &old["status"]);
    let placed = spec["nodeName"]
        .as_str()
        .is_some_and(|node| !node.is_empty());
    let over = matches!(status["phase"].as_str(), Some("Succeeded" | "Failed"));
    if !placed || over {
        return 0;
    }
    let own = spec["terminationGracePeriodSeconds"]
        .as_i64()
        .unwrap_or(GRACE);
    match options.grace.unwrap_or(own) {
        // Kubernetes takes a negative period as the shortest one.
        negative if negative < 0 => 1,
        seconds => seconds,
    }
}

/// The finalizers that the propagation policy asks for, besides those of others.
fn finalizers(options: &DeleteOptions, old: &Value) -> Vec<String> {
    let held = meta::finalizers(old).into_iter().map(str::to_owned);
    let Some(policy) = options.propagation else {
        return held.collect();
    };
    let mut kept: Vec<String> = held.filter(|f| f != ORPHAN && f != FOREGROUND).collect();
    match policy {
        Propagation::Orphan => kept.push(ORPHAN.to_owned()),
        Propagation::Foreground => kept.push(FOREGROUND.to_owned()),
        Propagation::Background => {}
    }
    kept
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pods() -> &'static Resource {
        static PODS: Resource = Resource {
            group: "",
            version: "v1",
            kind: "Pod",
            plural: "pods",
            singular: "pod",
            short_names: &[],
            categories: &[],
            scope: api::kind::Scope::Namespaced,
            verbs: &[],
            subresources: &[],
            storage_version_hash: "",
            schema: "",
        };
        &PODS
    }

    fn now() -> Timestamp {
        "2026-01-02T03:04:05Z".parse().unwrap()
    }

    #[test]
    fn a_pod_on_a_node_has_its_own_time_to_end() {
        let pod =
            json!({"metadata": {}, "spec": {"nodeName": "n", "terminationGracePeriodSeconds": 7}});
        let new = marked(pods(), &DeleteOptions::default(), &pod, now()).unwrap();
        assert_eq!(new["metadata"]["deletionTimestamp"], "2026-01-02T03:04:12Z");
        assert_eq!(new["metadata"]["deletionGracePeriodSeconds"], 7);
        assert!(!write::has_ended(pods(), &new));
    }

    #[test]
    fn a_pod_that_runs_nowhere_goes_at_once() {
        let pod = json!({"metadata": {}, "spec": {}});
        let new = marked(pods(), &DeleteOptions::default(), &pod, now()).unwrap();
        assert!(write::has_ended(pods(), &new));
    }

    #[test]
    fn a_second_deletion_shortens_the_time_and_never_lengthens_it() {
        let pod = json!({"metadata": {}, "spec": {"nodeName": "n"}});
        let grace = |grace| DeleteOptions {
            grace: Some(grace),
            ..DeleteOptions::default()
        };
        let ending = marked(pods(), &grace(10), &pod, now()).unwrap();
        assert_eq!(marked(pods(), &grace(20), &ending, now()), None);
        let ended = marked(pods(), &grace(0), &ending, now()).unwrap();
        assert!(write::has_ended(pods(), &ended));
    }

    #[test]
    fn the_policy_decides_about_the_finalizers_of_the_garbage_collector() {
        let object = json!({"metadata": {"finalizers": ["a/b", "orphan"]}});
        let with = |propagation| {
            let options = DeleteOptions {
                propagation,
                ..DeleteOptions::default()
            };
            finalizers(&options, &object)
        };
        assert_eq!(
            with(Some(Propagation::Foreground)),
            ["a/b", "foregroundDeletion"]
        );
        assert_eq!(with(Some(Propagation::Background)), ["a/b"]);
        assert_eq!(with(None), ["a/b", "orphan"]);
    }
}
