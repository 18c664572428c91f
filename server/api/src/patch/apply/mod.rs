//! Server-side apply, and who owns which field (KEP-555).
//!
//! Every write keeps `metadata.managedFields`: an entry a manager, with the set of fields it set last.
//! A plain write takes the fields it changes away from others. An apply says the whole of what its
//! manager wants: fields that others own and that would change are conflicts, and fields that it
//! applied before and no longer names go, unless somebody else owns them.
//!
//! Call [`update`] with the object as it will be stored (defaults set, status put back), so that only
//! real changes count.

mod managers;
mod set;
mod validate;
mod walk;

use serde_json::{Map, Value};

use managers::Entry;
pub use managers::Manager;
use set::{Combine, Set};

use crate::meta;
use crate::schema::Schema;

/// Where client-side apply keeps the configuration it applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The owner of what was there before an object's first apply.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Fields of others that an apply would change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub struct Conflicts(pub Vec<Conflict>);

/// One field of another manager that an apply would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The owner, such as `"kubectl-client-side-apply" using apps/v1`.
    pub manager: String,
    /// The field, such as `.spec.replicas`.
    pub path: String,
}

impl Conflict {
    /// The `message` of a `StatusCause` whose reason is `FieldManagerConflict`.
    pub fn cause(&self) -> String {
        format!("conflict with {}", self.manager)
    }
}

impl Conflicts {
    fn message(&self) -> String {
        if let [only] = &self.0[..] {
            return format!(
                "Apply failed with 1 conflict: {}: {}",
                only.cause(),
                only.path
            );
        }
        let mut managers: Vec<&str> = self.0.iter().map(|c| c.manager.as_str()).collect();
        managers.sort_unstable();
        managers.dedup();
        let mut lines = Vec::new();
        for manager in managers {
            lines.push(format!("conflicts with {manager}:"));
            let own = self.0.iter().filter(|c| c.manager == manager);
            lines.extend(own.map(|c| format!("- {}", c.path)));
        }
        let lines = lines.join("\n");
        format!("Apply failed with {} conflicts: {lines}", self.0.len())
    }
}

/// Why an apply is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The configuration does not fit the schema, as kube-apiserver words it.
    #[error("{0}")]
    Invalid(String),
    /// Others own what would change.
    #[error(transparent)]
    Conflicts(#[from] Conflicts),
}

/// Keeps `metadata.managedFields` of `new` through a create (`old` is `None`), update or patch.
///
/// What `new` brings along in that field is taken as a wish: `[]` or `[{}]` forgets all owners, a
/// list that can be read replaces the stored one, anything else is ignored.
pub fn update(
    schema: &'static Schema,
    old: Option<&Value>,
    new: &mut Value,
    manager: &Manager<'_>,
) {
    let Some(metadata) = metadata_mut(new) else {
        return;
    };
    let wish = metadata.remove("managedFields");
    let mut entries = starting_entries(old, wish, manager);
    if entries.is_empty() && old.is_some_and(|old| !meta::uid(old).is_empty()) {
        // Nobody tracked this object so far, and a plain update is no reason to begin.
        return;
    }
    let blank = old.is_none().then(|| blank(schema));
    let difference = compare(schema, old.or(blank.as_ref()), new, manager);
    if !difference.is_empty() {
        let mut changed = difference.changed();
        for entry in &mut entries {
            managers::subtract(entry, &changed);
            managers::subtract(entry, &difference.removed);
        }
        strip(&mut changed);
        if !changed.is_empty() {
            let own = Entry::new(manager, false, changed);
            match entries.iter_mut().find(|entry| entry.same(&own)) {
                Some(entry) => {
                    set::add(&mut entry.fields, own.fields);
                    entry.time = own.time;
                }
                None => entries.push(own),
            }
        }
        managers::cap(&mut entries);
    }
    managers::write(new, entries);
}

/// What a new object is compared with: whoever creates it does not own the fields that are always
/// written and that it leaves empty.
fn blank(schema: &Schema) -> Value {
    let mut blank = Value::Object(serde_json::Map::new());
    schema.check(&mut blank);
    blank
}

/// The entries that a write starts from.
fn starting_entries(old: Option<&Value>, wish: Option<Value>, manager: &Manager<'_>) -> Vec<Entry> {
    let stored = || old.and_then(managers::read).unwrap_or_default();
    match wish {
        Some(wish) if manager.subresource.is_empty() => {
            if managers::is_reset(&wish) {
                return Vec::new();
            }
            let wished = serde_json::json!({ "metadata": { "managedFields": wish } });
            match managers::read(&wished) {
                Some(entries) if !entries.is_empty() => entries,
                _ => stored(),
            }
        }
        _ => stored(),
    }
}

fn compare(
    schema: &'static Schema,
    old: Option<&Value>,
    new: &Value,
    manager: &Manager<'_>,
) -> walk::Difference {
    let mut difference = walk::compare(schema, old, new);
    for set in [
        &mut difference.added,
        &mut difference.modified,
        &mut difference.removed,
    ] {
        for name in manager.ignored {
            set.remove(&set::field_element(name));
        }
        drop_element(set, "f:metadata", "f:managedFields");
    }
    difference
}

/// Removes one element two levels down.
fn drop_element(set: &mut Set, outer: &str, inner: &str) {
    let Some(Value::Object(node)) = set.get_mut(outer) else {
        return;
    };
    if node.remove(inner).is_some() && node.is_empty() {
        set.remove(outer);
    }
}

/// Fields that identify an object, or that only the system sets, have no owner.
fn strip(set: &mut Set) {
    for name in ["apiVersion", "kind"] {
        set.remove(&set::field_element(name));
    }
    for name in [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ] {
        drop_element(set, "f:metadata", &set::field_element(name));
    }
    if let Some(Value::Object(node)) = set.get_mut("f:metadata") {
        node.remove(".");
        if node.is_empty() {
            set.remove("f:metadata");
        }
    }
}

/// The object after a server-side apply of `config`; `live` is `None` if it has to be created.
///
/// The result has its `managedFields`, and is not yet checked, defaulted or validated. If nothing
/// but times would change, it is the live object.
pub fn apply(
    schema: &'static Schema,
    live: Option<&Value>,
    config: &Value,
    manager: &Manager<'_>,
    force: bool,
) -> Result<Value, Error> {
    if !config["metadata"]["managedFields"].is_null() {
        let text = "metadata.managedFields must be nil".to_owned();
        return Err(Error::Invalid(text));
    }
    validate::config(schema, config).map_err(|problem| invalid(config, &problem))?;
    let attempt = Attempt {
        schema,
        live: live.map(without_managed_fields),
        config,
        manager,
        entries: before_apply(schema, live, manager),
    };
    let mut result = match attempt.run(force) {
        Err(conflicts) if manager.name == "kubectl" && attempt.were_client_side(&conflicts) => {
            attempt.run(true)
        }
        result => result,
    }?;
    if manager.name == "kubectl" {
        renew_last_applied(&mut result, config);
    }
    match live {
        Some(live) if same_but_for_times(live, &result) => Ok(live.clone()),
        _ => Ok(result),
    }
}

fn invalid(config: &Value, problem: &str) -> Error {
    let (namespace, name) = (meta::namespace(config), meta::name(config));
    let version = config["apiVersion"].as_str().unwrap_or_default();
    let version = match version.contains('/') {
        true => version.to_owned(),
        false => format!("/{version}"),
    };
    let kind = config["kind"].as_str().unwrap_or_default();
    Error::Invalid(format!(
        "failed to create typed patch object ({namespace}/{name}; {version}, Kind={kind}): {problem}"
    ))
}

/// Unlike indexing, this adds nothing to an object that has no metadata.
fn metadata_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.get_mut("metadata")?.as_object_mut()
}

fn without_managed_fields(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = metadata_mut(&mut object) {
        metadata.remove("managedFields");
    }
    object
}

/// The entries that an apply starts from. What an object without any has belongs to
/// `before-first-apply`.
fn before_apply(
    schema: &'static Schema,
    live: Option<&Value>,
    manager: &Manager<'_>,
) -> Vec<Entry> {
    let Some(live) = live else {
        return Vec::new();
    };
    let entries = managers::read(live).unwrap_or_default();
    if !entries.is_empty() {
        return entries;
    }
    let before = Manager {
        name: BEFORE_FIRST_APPLY,
        ..*manager
    };
    let mut fields = compare(schema, None, live, &before).changed();
    strip(&mut fields);
    match fields.is_empty() {
        true => Vec::new(),
        false => vec![Entry::new(&before, false, fields)],
    }
}

/// One attempt to apply a configuration.
struct Attempt<'a> {
    schema: &'static Schema,
    live: Option<Value>,
    config: &'a Value,
    manager: &'a Manager<'a>,
    entries: Vec<Entry>,
}

impl Attempt<'_> {
    fn run(&self, force: bool) -> Result<Value, Conflicts> {
        let empty = Value::Object(Map::new());
        let live = self.live.as_ref().unwrap_or(&empty);
        let merged = walk::merge(self.schema, live, self.config);
        let mut fields = walk::fields(self.schema, self.config);
        for name in self.manager.ignored {
            fields.remove(&set::field_element(name));
        }
        let mut own = Entry::new(self.manager, true, fields);
        let (last, mut others): (Vec<Entry>, Vec<Entry>) = self
            .entries
            .iter()
            .cloned()
            .partition(|entry| entry.same(&own));
        let mut new = match last.first() {
            Some(last) => self.prune(merged, &last.fields, &own.fields, &others),
            None => merged,
        };
        let difference = compare(self.schema, self.live.as_ref(), &new, self.manager);
        let changed = difference.changed();
        let conflicts = conflicts(&others, &changed);
        if !force && !conflicts.is_empty() {
            return Err(Conflicts(conflicts));
        }
        for entry in &mut others {
            managers::subtract(entry, &changed);
            managers::subtract(entry, &difference.removed);
        }
        strip(&mut own.fields);
        others.push(own);
        if !new["metadata"].is_object() {
            new["metadata"] = Value::Object(Map::new());
        }
        managers::write(&mut new, others);
        Ok(new)
    }

    /// Takes away what the manager applied last and does not any more, unless others own it.
    fn prune(&self, merged: Value, last: &Set, own: &Set, others: &[Entry]) -> Value {
        let named = |set: &Set| walk::with_named_fields(self.schema, set);
        let of = |object: &Value| named(&walk::fields(self.schema, object));
        let last = named(last);
        let all = of(&merged);
        let pruned = of(&walk::remove(self.schema, &merged, &last));
        let mut owned = own.clone();
        for entry in others {
            set::add(&mut owned, entry.fields.clone());
        }
        let kept = set::combine(&pruned, &named(&owned), Combine::Union);
        let gone = set::combine(&all, &kept, Combine::Difference);
        let pruned = of(&walk::remove(self.schema, &merged, &gone));
        let gone = set::combine(&all, &pruned, Combine::Difference);
        let gone = set::combine(&gone, &last, Combine::Intersection);
        walk::remove(self.schema, &merged, &gone)
    }

    /// Whether all conflicts are about fields that client-side apply set and that still stand as it
    /// set them: then `kubectl apply --server-side` takes them over.
    fn were_client_side(&self, conflicts: &Conflicts) -> bool {
        let Some(live) = &self.live else {
            return false;
        };
        let Some(text) = meta::annotation(live, LAST_APPLIED) else {
            return false;
        };
        let Ok(last) = serde_json::from_str::<Value>(text) else {
            return false;
        };
        if last["apiVersion"] != self.manager.api_version {
            return false;
        }
        let difference = walk::compare(self.schema, Some(&last), live);
        let mut allowed = walk::fields(self.schema, &last);
        for set in [difference.modified, difference.added, difference.removed] {
            allowed = set::combine(&allowed, &set, Combine::Difference);
        }
        let allowed = set::paths(&allowed);
        conflicts.0.iter().all(|c| allowed.contains(&c.path))
    }
}

fn conflicts(others: &[Entry], changed: &Set) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for entry in others {
        let both = set::combine(&entry.fields, changed, Combine::Intersection);
        let paths = set::paths(&both).into_iter();
        conflicts.extend(paths.map(|path| Conflict {
            manager: entry.text(),
            path,
        }));
    }
    conflicts
}

/// Keeps the annotation of client-side apply true where there is one, so that users can go back.
fn renew_last_applied(object: &mut Value, config: &Value) {
    if meta::annotation(object, LAST_APPLIED).is_none_or(str::is_empty) {
        return;
    }
    let mut config = config.clone();
    let annotations = metadata_mut(&mut config).and_then(|m| m.get_mut("annotations"));
    if let Some(Value::Object(annotations)) = annotations {
        annotations.remove(LAST_APPLIED);
    }
    let text = format!("{config}\n");
    object["metadata"]["annotations"][LAST_APPLIED] = text.into();
}

/// Whether two objects differ in nothing but the times of entries.
fn same_but_for_times(live: &Value, new: &Value) -> bool {
    let timeless = |object: &Value| {
        let mut object = object.clone();
        let entries = metadata_mut(&mut object).and_then(|m| m.get_mut("managedFields"));
        for entry in entries.and_then(Value::as_array_mut).into_iter().flatten() {
            entry.as_object_mut().map(|entry| entry.remove("time"));
        }
        object
    };
    timeless(live) == timeless(new)
}

#[cfg(test)]
mod tests;
