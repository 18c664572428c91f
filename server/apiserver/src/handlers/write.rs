//! The steps that all writes have in common.
//!
//! ```text
//! current ──make──► new ──default──► prepare ──► admission ──► managed fields ──► validate ──► commit
//!    ▲                                                                                           │
//!    └─────────────────────────── somebody was faster ───────────────────────────────────────────┘
//! ```

use api::field;
use api::kind::{Part, Resource};
use api::meta::{self, validate};
use api::patch::apply::Manager;
use bytes::Bytes;
use http::Method;
use jiff::Timestamp;
use serde_json::{Map, Value};
use store::{Compare, Outcome, Revision, Transaction, Write};

use crate::admission::{Operation, Review};
use crate::call::Call;
use crate::error::{Error, Result};
use crate::keys;
use crate::options::WriteOptions;
use crate::policy;
use crate::record;

/// How often a write is tried again when others write the same object.
const ATTEMPTS: usize = 16;

/// An object as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    /// The object.
    pub(crate) value: Value,
    /// Its text.
    pub(crate) json: Bytes,
    /// The commit that made it.
    pub(crate) revision: Revision,
}

/// The object that the URL names, as new as it gets.
pub(crate) async fn current(call: &Call) -> Result<Option<Current>> {
    call.app.cache.fresh().await?;
    let cache = call.app.cache.of(call.kind);
    Ok(cache
        .get(&call.namespace, &call.name)
        .map(|object| Current {
            value: object.value(),
            json: object.json.clone(),
            revision: object.revision,
        }))
}

pub(crate) fn reread(entry: Option<store::Entry>) -> Result<Option<Current>> {
    let Some(entry) = entry else {
        return Ok(None);
    };
    let json = record::json(&entry.value, entry.modified)
        .ok_or_else(|| Error::internal("a record of the store can't be read"))?;
    let value = serde_json::from_slice(&json).map_err(Error::internal)?;
    Ok(Some(Current {
        value,
        json,
        revision: entry.modified,
    }))
}

/// What came of a write.
pub(crate) struct Written {
    /// The object's text, with its new revision.
    pub(crate) json: Bytes,
    /// Whether it did not exist before.
    pub(crate) created: bool,
}

/// How an object is to change.
pub(crate) struct Change<'a> {
    /// Which part of it.
    pub(crate) part: Part,
    /// The options of the request.
    pub(crate) options: &'a WriteOptions,
    /// Whether a missing object is created from what `make` gives for `None`.
    pub(crate) create: bool,
    /// Whether `metadata.managedFields` is settled: `make` has written it, or nobody is to own what changes.
    pub(crate) owned: bool,
}

/// Changes the object that the URL names: `make` gives the new one for the stored one, and is asked again
/// when somebody else was faster.
pub(crate) async fn change(
    call: &Call,
    change: &Change<'_>,
    mut make: impl FnMut(Option<&Value>) -> Result<Value>,
) -> Result<Written> {
    let mut stored = current(call).await?;
    for _ in 0..ATTEMPTS {
        let Some(old) = stored.take() else {
            if !change.create {
                return Err(Error::not_found(call.resource(), &call.name));
            }
            let new = make(None)?;
            return insert(call, new, change.options, change.owned).await;
        };
        let mut new = make(Some(&old.value))?;
        prepare(call, change, &mut new, &old)?;
        own(call, change, Some(&old.value), &mut new);
        admit(call, Operation::Update, change, &mut new, Some(&old.value)).await?;
        check(call, change.part, &new, &old.value)?;
        if new == old.value {
            return Ok(Written {
                json: old.json,
                created: false,
            });
        }
        let ended = has_ended(call.resource(), &new);
        if change.options.dry_run {
            return Ok(Written {
                json: text(&new),
                created: false,
            });
        }
        let resource = call.resource();
        let key = keys::key(resource, &call.namespace, &call.name);
        let record = record::encode(&new);
        let write = match ended {
            true => Write::Delete(key.clone()),
            false => Write::Put(key.clone(), record.clone()),
        };
        match commit(call, key, old.revision, write).await? {
            // What is removed keeps its last revision in the answer.
            Outcome::Committed(revision) => {
                let shown = if ended { old.revision } else { revision };
                return Ok(Written {
                    json: record::json(&record, shown).unwrap_or_default(),
                    created: false,
                });
            }
            Outcome::Conflict(entry) => stored = reread(entry)?,
        }
    }
    Err(Error::modified(call.resource(), &call.name))
}

/// Creates an object whose name is settled.
pub(crate) async fn insert(
    call: &Call,
    mut new: Value,
    options: &WriteOptions,
    owned: bool,
) -> Result<Written> {
    let resource = call.resource();
    begin(call, &mut new);
    call.kind.default(&mut new);
    let change = Change {
        part: Part::Main,
        options,
        create: true,
        owned,
    };
    own(call, &change, None, &mut new);
    call.kind.prepare_create(&mut new);
    admit(call, Operation::Create, &change, &mut new, None).await?;
    bounded(&new)?;
    let mut problems = validate::object_meta(resource, call.kind, &new);
    problems.extend(call.kind.validate(&new));
    refuse(resource, meta::name(&new), &problems)?;
    call.kind
        .warnings(&new)
        .into_iter()
        .for_each(|text| call.warn(text));
    let name = meta::name(&new).to_owned();
    if options.dry_run {
        let taken = call.app.cache.of(call.kind).get(&call.namespace, &name);
        if let Some(taken) = taken {
            return Err(taken_by(resource, &name, &taken.value()));
        }
        return Ok(Written {
            json: text(&new),
            created: true,
        });
    }
    let key = keys::key(resource, &call.namespace, &name);
    let record = record::encode(&new);
    let write = Write::Put(key.clone(), record.clone());
    match commit(call, key, 0, write).await? {
        Outcome::Committed(revision) => Ok(Written {
            json: record::json(&record, revision).unwrap_or_default(),
            created: true,
        }),
        Outcome::Conflict(entry) => {
            let taken = reread(entry)?.map(|taken| taken.value).unwrap_or_default();
            Err(taken_by(resource, &name, &taken))
        }
    }
}

fn taken_by(resource: &Resource, name: &str, taken: &Value) -> Error {
    Error::already_exists(resource, name, meta::deletion_timestamp(taken).is_some())
}

/// Puts one write of one key to the store, if the key is still as the caller has seen it.
pub(crate) async fn commit(
    call: &Call,
    key: Bytes,
    modified: Revision,
    write: Write,
) -> Result<Outcome> {
    let transaction = Transaction {
        compares: vec![Compare { key, modified }],
        writes: vec![write],
        durability: policy::durability(call.resource()),
    };
    Ok(call.app.store.commit(transaction).await?)
}

/// Puts a new object where the URL says.
fn place(call: &Call, meta: &mut Map<String, Value>) {
    match call.namespace.as_str() {
        "" => meta.remove("namespace"),
        namespace => meta.insert("namespace".into(), namespace.into()),
    };
}

/// Brings a question to the point where it can be answered: it belongs to who asks, and is admitted.
pub(super) async fn pose(call: &Call, question: &mut Value, options: &WriteOptions) -> Result<()> {
    place(call, metadata(question));
    let change = Change {
        part: Part::Main,
        options,
        create: true,
        owned: false,
    };
    own(call, &change, None, question);
    admit(call, Operation::Create, &change, question, None).await?;
    bounded(question)
}

/// Gives a new object what only the system sets.
fn begin(call: &Call, new: &mut Value) {
    let meta = metadata(new);
    for field in [
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generation",
        "resourceVersion",
        "selfLink",
    ] {
        meta.remove(field);
    }
    place(call, meta);
    let now = meta::time::seconds(Timestamp::now());
    meta.insert("creationTimestamp".into(), now.into());
    let uid = uuid::Uuid::new_v4().to_string();
    meta.insert("uid".into(), uid.into());
}

/// Gives a changed object what only the system sets, and refuses a change of something else than what
/// the client has seen.
fn prepare(call: &Call, change: &Change<'_>, new: &mut Value, old: &Current) -> Result<()> {
    let resource = call.resource();
    let given = meta::resource_version(new);
    if !given.is_empty() && given != "0" {
        let seen: Revision = given.parse().map_err(|_| {
            let quoted = field::go_quoted(given);
            Error::unclassified(format!(
                "strconv.ParseUint: parsing {quoted}: invalid syntax"
            ))
        })?;
        if seen != old.revision {
            return Err(Error::modified(resource, &call.name));
        }
    }
    let (uid, stored) = (meta::uid(new), meta::uid(&old.value));
    if !uid.is_empty() && uid != stored && call.method == Method::PATCH {
        let path = field::Path::new("metadata").child("uid");
        let problem = field::Error::invalid(&path, uid, "field is immutable");
        refuse(resource, &call.name, &[problem])?;
    } else if !uid.is_empty() && uid != stored {
        return Err(Error::conflict(
            resource,
            &call.name,
            format_args!(
                "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: \
                 Precondition failed: UID in precondition: {uid}, UID in object meta: {stored}",
                String::from_utf8_lossy(&keys::key(resource, &call.namespace, &call.name)),
            ),
        ));
    }
    let meta = metadata(new);
    meta.remove("selfLink");
    for field in [
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generation",
        "name",
        "namespace",
        "resourceVersion",
        "uid",
    ] {
        let stored = old.value["metadata"].get(field);
        let settled = match field {
            "deletionTimestamp" => stored.is_some() || !meta.contains_key(field),
            "deletionGracePeriodSeconds" => !meta.contains_key(field),
            _ => true,
        };
        if !settled {
            // Validation says that nobody may change it.
            continue;
        }
        match stored {
            Some(value) => meta.insert(field.into(), value.clone()),
            None => meta.remove(field),
        };
    }
    call.kind.default(new);
    call.kind.prepare_update(change.part, new, &old.value);
    Ok(())
}

async fn admit(
    call: &Call,
    operation: Operation,
    change: &Change<'_>,
    new: &mut Value,
    old: Option<&Value>,
) -> Result<()> {
    let review = Review {
        call,
        operation,
        part: change.part,
        old,
    };
    call.app.admission.admit(&review, new).await
}

/// Notes in `metadata.managedFields` who has set what. This comes before the kind prepares the object
/// and before admission: what these add belongs to nobody.
fn own(call: &Call, change: &Change<'_>, old: Option<&Value>, new: &mut Value) {
    let resource = call.resource();
    if change.owned {
        return;
    }
    let Some(schema) = api::schema::of(resource.schema) else {
        return;
    };
    let name = call.manager(&change.options.manager);
    let api_version = resource.api_version();
    let manager = manager(call, &name, change.part, &api_version);
    api::patch::apply::update(schema, old, new, &manager);
}

/// Who makes this change.
pub(crate) fn manager<'a>(
    call: &Call,
    name: &'a str,
    part: Part,
    api_version: &'a str,
) -> Manager<'a> {
    let has_status = call.resource().subresource("status").is_some();
    let ignored: &[&str] = match part {
        Part::Main if has_status => &["status"],
        Part::Status => &["spec"],
        Part::Main | Part::Other(_) => &[],
    };
    Manager {
        name,
        subresource: subresource(part),
        api_version,
        time: Timestamp::now(),
        ignored,
    }
}

/// The name of the subresource that writes a part, empty for the object itself.
fn subresource(part: Part) -> &'static str {
    match part {
        Part::Main => "",
        Part::Status => "status",
        Part::Other(name) => name,
    }
}

fn check(call: &Call, part: Part, new: &Value, old: &Value) -> Result<()> {
    bounded(new)?;
    let resource = call.resource();
    let mut problems = validate::object_meta(resource, call.kind, new);
    problems.extend(validate::object_meta_update(new, old));
    if problems.is_empty() || part == Part::Main {
        problems.extend(call.kind.validate(new));
        problems.extend(call.kind.validate_update(part, new, old));
    }
    refuse(resource, &call.name, &problems)?;
    if part == Part::Main {
        call.kind
            .warnings(new)
            .into_iter()
            .for_each(|text| call.warn(text));
    }
    Ok(())
}

/// What is stored must be readable: by this server after a restart, and by clients inside of lists.
fn bounded(object: &Value) -> Result<()> {
    match api::wire::json::is_deeper(object, api::wire::json::MAX_DEPTH) {
        true => Err(Error::bad_request("exceeded max depth")),
        false => Ok(()),
    }
}

fn refuse(resource: &Resource, name: &str, problems: &[field::Error]) -> Result<()> {
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Error::invalid(
            resource.kind,
            resource.group,
            name,
            problems,
        )),
    }
}

/// Whether nothing keeps an object any more whose deletion has begun.
pub(crate) fn has_ended(resource: &Resource, object: &Value) -> bool {
    let meta = &object["metadata"];
    let waits = meta["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) > 0;
    let held = policy::has_spec_finalizers(resource)
        && !meta::list(&object["spec"]["finalizers"]).is_empty();
    meta::deletion_timestamp(object).is_some()
        && meta::finalizers(object).is_empty()
        && !waits
        && !held
}

/// The text of an object that is not stored.
pub(crate) fn text(object: &Value) -> Bytes {
    serde_json::to_vec(object)
        .expect("a Value has text keys")
        .into()
}

/// `metadata`, made if it is not there.
pub(crate) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    if !object["metadata"].is_object() {
        object["metadata"] = Value::Object(Map::new());
    }
    object["metadata"]
        .as_object_mut()
        .expect("it is an object since the line above")
}
