//! The schema engine: what fields a kind has, of which type, and how its lists and maps merge.
//!
//! The facts of Kubernetes 1.37 are in `facts.tsv`, a row a field, read once at first use. Besides
//! what OpenAPI publishes they tell how kube-apiserver's own structs spell a value: the names of Go
//! types, which decoding errors show, and which fields are written even when they are empty.
//!
//! | column | what |
//! |---|---|
//! | schema | the name, such as `io.k8s.api.core.v1.Pod` |
//! | field | the field, `-` for facts of the schema itself |
//! | type | `string`, `integer:int32`, `ref:SCHEMA`, `[]TYPE`, `map:TYPE` and so on |
//! | required | `required` or `-` |
//! | facts | `name="value"`, `name=JSON` or `name`, separated by spaces; `-` for none |
//!
//! Facts: `default`, `enum`, `list-type`, `list-map-keys`, `map-type`, `patch-strategy`,
//! `patch-merge-key` as in OpenAPI; `go`: the Go type if it does not follow from the type; `inline`:
//! the embedded struct the field is in; `always`: written when empty; `keep-zero`: kept when empty.

mod check;
mod facts;
mod go;

use std::sync::OnceLock;

use serde_json::Value;

pub use check::Checked;

/// The fields of a kind, or of a part of one.
#[derive(Debug)]
pub struct Schema {
    /// The full name, such as `io.k8s.api.core.v1.PodSpec`.
    pub name: &'static str,
    /// Whether the whole is one value to server-side apply.
    pub atomic: bool,
    /// Whether any JSON object will do, as for `FieldsV1`.
    pub free_form: bool,
    fields: Vec<Field>,
    /// Indexes of the fields that are written even when they are empty.
    always: Vec<usize>,
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// A text.
    String,
    /// `true` or `false`.
    Boolean,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits.
    Int64,
    /// Any number.
    Number,
    /// Bytes, as base64 in JSON.
    Bytes,
    /// Any JSON value.
    Any,
    /// `metav1.Time`.
    Time,
    /// `metav1.MicroTime`.
    MicroTime,
    /// `resource.Quantity`.
    Quantity,
    /// `intstr.IntOrString`.
    IntOrString,
    /// A list.
    List(Box<Type>),
    /// A map from texts.
    Map(Box<Type>),
    /// An object with a schema of its own: [`Type::schema`] gives it.
    Object(SchemaId),
}

/// The place of a schema among all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaId(usize);

/// How the entries of a list are told apart when two lists are merged by server-side apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// They are not: the list is one value.
    #[default]
    Atomic,
    /// By their value.
    Set,
    /// By the fields in [`Field::map_keys`].
    Map,
}

/// What a strategic merge patch does with a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PatchStrategy {
    /// A list is merged, by [`Field::merge_key`] or by value; without this it is replaced.
    pub merge: bool,
    /// The patch may name the keys to retain.
    pub retain_keys: bool,
    /// An object is replaced; without this it is merged.
    pub replace: bool,
}

/// A field of a schema.
#[derive(Debug)]
pub struct Field {
    /// The name in JSON.
    pub name: &'static str,
    /// The type as it is written in the facts, such as `[]ref:io.k8s.api.core.v1.Container`.
    pub type_name: &'static str,
    /// The type.
    pub kind: Type,
    /// Whether OpenAPI lists the field as required.
    pub required: bool,
    /// What stands for an absent value in keys of lists, and in documentation.
    pub default: Option<Value>,
    /// The allowed values, empty for any.
    pub allowed: Vec<&'static str>,
    /// How a list merges in server-side apply.
    pub list_type: ListType,
    /// The keys of a list of type [`ListType::Map`].
    pub map_keys: Vec<&'static str>,
    /// Whether a map or object is one value to server-side apply.
    pub atomic: bool,
    /// What a strategic merge patch does.
    pub patch: PatchStrategy,
    /// The key of a list that a strategic merge patch merges.
    pub merge_key: Option<&'static str>,
    go: Option<&'static str>,
    inline: Option<&'static str>,
    keep_zero: bool,
}

impl Schema {
    /// The fields, sorted by name.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter()
    }

    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        let at = self.fields.binary_search_by(|f| f.name.cmp(name)).ok()?;
        self.fields.get(at)
    }

    /// Whether Go's encoder writes the field even when nothing is in it.
    pub(crate) fn always_written(&self, field: &Field) -> bool {
        let fields = self.always.iter().filter_map(|i| self.fields.get(*i));
        fields.into_iter().any(|f| std::ptr::eq(f, field))
    }

    /// The last part of the name, such as `PodSpec`: the name of the Go struct.
    pub fn short_name(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }
}

impl Type {
    /// The schema of an object, or of a list's or map's entries.
    pub fn schema(&self) -> Option<&'static Schema> {
        match self {
            Self::Object(id) => all().get(id.0),
            Self::List(entry) | Self::Map(entry) => entry.schema(),
            _ => None,
        }
    }

    /// The type of a list's or map's entries.
    pub fn entry(&self) -> Option<&Self> {
        match self {
            Self::List(entry) | Self::Map(entry) => Some(entry),
            _ => None,
        }
    }
}

/// All schemas, sorted by name.
pub fn all() -> &'static [Schema] {
    static ALL: OnceLock<Vec<Schema>> = OnceLock::new();
    ALL.get_or_init(|| facts::read(include_str!("facts.tsv")))
}

/// The schema of that name, such as `io.k8s.api.core.v1.Pod`.
pub fn of(name: &str) -> Option<&'static Schema> {
    let all = all();
    let at = all.binary_search_by(|s| s.name.cmp(name)).ok()?;
    all.get(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(schema: &str, name: &str) -> &'static Field {
        of(schema).expect("a schema").field(name).expect("a field")
    }

    #[test]
    fn a_schema_knows_its_fields_and_their_types() {
        let spec = field("io.k8s.api.core.v1.Pod", "spec");
        assert_eq!(spec.kind.schema().map(Schema::short_name), Some("PodSpec"));
        let containers = field("io.k8s.api.core.v1.PodSpec", "containers");
        assert!(containers.required && containers.patch.merge);
        assert_eq!(
            (containers.list_type, containers.merge_key),
            (ListType::Map, Some("name"))
        );
        assert_eq!(
            containers.kind.schema().map(|s| s.name),
            Some("io.k8s.api.core.v1.Container")
        );
        let protocol = field("io.k8s.api.core.v1.ContainerPort", "protocol");
        assert_eq!(protocol.default, Some("TCP".into()));
        assert_eq!(protocol.allowed, ["SCTP", "TCP", "UDP"]);
        let ports = field("io.k8s.api.core.v1.Container", "ports");
        assert_eq!(
            (&ports.map_keys[..], ports.merge_key),
            (&["containerPort", "protocol"][..], Some("containerPort"))
        );
        let strategy = field("io.k8s.api.apps.v1.DeploymentSpec", "strategy");
        assert!(strategy.patch.retain_keys && !strategy.patch.merge);
        assert_eq!(
            field("io.k8s.api.core.v1.Secret", "data").kind,
            Type::Map(Box::new(Type::Bytes))
        );
        assert_eq!(
            field("io.k8s.api.core.v1.ResourceRequirements", "limits").kind,
            Type::Map(Box::new(Type::Quantity))
        );
        assert!(
            of("io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector")
                .expect("a schema")
                .atomic
        );
        assert!(field("io.k8s.api.core.v1.PodSpec", "nodeSelector").atomic);
        assert!(of("io.k8s.api.core.v1.Nothing").is_none());
    }

    #[test]
    fn every_reference_leads_to_a_schema() {
        for schema in all() {
            for field in schema.fields() {
                if field.type_name.contains("ref:") && matches!(field.kind, Type::Object(_)) {
                    assert!(
                        field.kind.schema().is_some(),
                        "{} {}",
                        schema.name,
                        field.name
                    );
                }
                assert!(field.list_type != ListType::Map || !field.map_keys.is_empty());
            }
        }
        assert!(all().len() > 600);
    }
}
