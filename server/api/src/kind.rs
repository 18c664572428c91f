//! The contract of a kind, and the facts that routes, discovery, tables and RBAC names derive from.
//!
//! One folder below [`crate::kinds`] holds all there is to know about a kind. The generic code runs a
//! request through the hooks in one order and knows no kind by name:
//!
//! ```text
//! create   schema check → default → prepare_create → admission → validate → store
//! update   schema check → default → prepare_update → admission → validate, validate_update → store
//! ```
//!
//! A kind that can't be read back is not stored either: its objects are questions, and
//!
//! ```text
//! create   schema check → admission → validate → answer
//! ```

use jiff::Timestamp;
use serde_json::Value;

use crate::field;
use crate::review::Authority;

/// Whether objects live in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One set for the whole cluster.
    Cluster,
    /// One set for each namespace.
    Namespaced,
}

/// The verbs of the eight requests that a stored kind serves, as discovery lists them.
pub const STORED: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// The verb of a kind whose objects are answered and stored nowhere.
pub const ANSWERED: &[&str] = &["create"];

/// A part of an object with a URL of its own, such as `status` or `scale`.
#[derive(Debug, PartialEq, Eq)]
pub struct Subresource {
    /// The last segment of the URL.
    pub name: &'static str,
    /// The group, version and kind of the body, where it is not the parent's: `scale` is
    /// `("autoscaling", "v1", "Scale")`.
    pub body: Option<(&'static str, &'static str, &'static str)>,
    /// The verbs in discovery, sorted.
    pub verbs: &'static [&'static str],
}

/// The identity of a kind: what it is called and which requests it serves.
#[derive(Debug, PartialEq, Eq)]
pub struct Resource {
    /// The API group, empty for the core group.
    pub group: &'static str,
    /// The version, such as `v1`.
    pub version: &'static str,
    /// The kind, such as `ConfigMap`.
    pub kind: &'static str,
    /// The name in URLs, such as `configmaps`.
    pub plural: &'static str,
    /// The name of one, such as `configmap`.
    pub singular: &'static str,
    /// Abbreviations, such as `cm`.
    pub short_names: &'static [&'static str],
    /// Names that stand for several kinds, such as `all`.
    pub categories: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub scope: Scope,
    /// The verbs in discovery, sorted.
    pub verbs: &'static [&'static str],
    /// The subresources in discovery, sorted by name.
    pub subresources: &'static [Subresource],
    /// What discovery gives so that clients see a change of storage version.
    pub storage_version_hash: &'static str,
    /// The name of the schema, such as `io.k8s.api.core.v1.ConfigMap`.
    pub schema: &'static str,
}

impl Resource {
    /// `v1` for the core group, `group/version` elsewhere.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            return self.version.to_owned();
        }
        format!("{}/{}", self.group, self.version)
    }

    /// Whether objects are stored; else they are answered, see [`Kind::answer`].
    pub fn is_stored(&self) -> bool {
        self.verbs.contains(&"get")
    }

    /// The subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<&'static Subresource> {
        self.subresources.iter().find(|s| s.name == name)
    }

    /// `plural.group`, or the plural alone for the core group: the form that messages use.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() {
            return self.plural.to_owned();
        }
        format!("{}.{}", self.plural, self.group)
    }
}

/// Which part of an object a request may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The object itself: its status is kept as it is stored.
    Main,
    /// The status alone: everything else is kept as it is stored.
    Status,
    /// Another subresource that writes to the object, by name, such as `scale` or `binding`.
    Other(&'static str),
}

/// A column of the table form.
#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    /// The heading, such as `Ready`.
    pub name: &'static str,
    /// The OpenAPI type: `string`, `integer`, `number`, `boolean`, `date`.
    pub kind: &'static str,
    /// The OpenAPI format, `name` for the column that names the object, else empty.
    pub format: &'static str,
    /// 0 is always shown, above that only in wide output.
    pub priority: i32,
    /// What the column holds; part of the table's header on the wire.
    pub description: &'static str,
}

/// Objects that a description needs besides the one described.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The group of the kind wanted.
    pub group: &'static str,
    /// Its plural.
    pub plural: &'static str,
    /// The namespace to look in, or all of them.
    pub namespace: Option<String>,
    /// A label selector in its text form, or empty.
    pub labels: String,
    /// A field selector in its text form, or empty.
    pub fields: String,
}

/// A kind of object. Hooks that a kind does not need keep their default.
///
/// Hooks get objects that have passed the schema: fields that are there have the right JSON type.
pub trait Kind: Send + Sync {
    /// What the kind is called and which requests it serves.
    fn resource(&self) -> &'static Resource;

    /// Fills in what the user left out. Runs on every write, so it must be idempotent.
    fn default(&self, _object: &mut Value) {}

    /// Brings a new object into its first state: strips what only the system sets.
    ///
    /// Kinds with a `status` subresource start without a status, and those with a spec at generation 1.
    fn prepare_create(&self, object: &mut Value) {
        prepare_create(self.resource(), object);
    }

    /// Brings `new` into a state that a request to `part` may store: puts back what it may not
    /// change, and raises the generation when the spec has changed.
    fn prepare_update(&self, part: Part, new: &mut Value, stored: &Value) {
        prepare_update(self.resource(), part, new, stored);
    }

    /// All problems of an object. Metadata is checked by the generic code.
    fn validate(&self, object: &Value) -> Vec<field::Error>;

    /// All changes that are not allowed. [`Kind::validate`] has run on `new` as well.
    fn validate_update(&self, _part: Part, _new: &Value, _stored: &Value) -> Vec<field::Error> {
        Vec::new()
    }

    /// Advice for the user of a valid object: deprecated fields, probable mistakes.
    fn warnings(&self, _object: &Value) -> Vec<String> {
        Vec::new()
    }

    /// Fills in the answer to a question that has passed [`Kind::validate`], for a kind that is not
    /// stored. The error is what is wrong with the request as a whole.
    fn answer(&self, _question: &mut Value, _authority: &dyn Authority) -> Result<(), String> {
        Ok(())
    }

    /// The rule for `metadata.name`: the problem, or `None` for a good name. Names of what is not
    /// stored are not checked.
    fn name_problem(&self, _name: &str) -> Option<String> {
        None
    }

    /// Values that field selectors may ask for, besides `metadata.name` and `metadata.namespace`.
    /// Each field is there for every object, empty where the object has none.
    fn fields(&self, _object: &Value) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// The columns of the table form. What is not stored has none.
    fn columns(&self) -> &'static [Column] {
        &[]
    }

    /// The cells of one object's row, in the order of [`Kind::columns`].
    fn cells(&self, _object: &Value, _now: Timestamp) -> Vec<Value> {
        Vec::new()
    }

    /// The objects that [`Kind::describe`] wants to see, in the order it gets them; events last.
    fn related(&self, _object: &Value) -> Vec<Query> {
        Vec::new()
    }

    /// The description that `describe` prints, or `None` for the generic form.
    /// `related` answers [`Kind::related`], a list for each query; those for events may be left out.
    fn describe(
        &self,
        _object: &Value,
        _related: &[Vec<Value>],
        _now: Timestamp,
    ) -> Option<String> {
        None
    }
}

/// What [`Kind::prepare_create`] does unless a kind says otherwise.
pub fn prepare_create(resource: &Resource, object: &mut Value) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    if resource.subresource("status").is_some() {
        fields.remove("status");
    }
    if fields.contains_key("spec") {
        object["metadata"]["generation"] = 1.into();
    }
}

/// What [`Kind::prepare_update`] does unless a kind says otherwise.
pub fn prepare_update(resource: &Resource, part: Part, new: &mut Value, stored: &Value) {
    match part {
        // What else writes to the object, such as `scale`, changes the spec and never the status.
        Part::Main | Part::Other(_) => {
            if resource.subresource("status").is_some() {
                copy_field(stored, new, "status");
            }
            if let Some(generation) = stored["metadata"]["generation"].as_i64() {
                let changed = new.get("spec") != stored.get("spec");
                new["metadata"]["generation"] = (generation + i64::from(changed)).into();
            }
        }
        Part::Status => {
            let status = new.get("status").cloned();
            let version = new["metadata"].get("resourceVersion").cloned();
            let managed = new["metadata"].get("managedFields").cloned();
            *new = stored.clone();
            set_or_remove(new, "status", status);
            set_or_remove(&mut new["metadata"], "resourceVersion", version);
            set_or_remove(&mut new["metadata"], "managedFields", managed);
        }
    }
}

fn copy_field(from: &Value, to: &mut Value, field: &str) {
    set_or_remove(to, field, from.get(field).cloned());
}

fn set_or_remove(object: &mut Value, field: &str, value: Option<Value>) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    match value {
        Some(value) => fields.insert(field.to_owned(), value),
        None => fields.remove(field),
    };
}
