//! Reads the table of facts.

use std::collections::HashMap;

use serde_json::Value;

use super::{Field, ListType, PatchStrategy, Schema, SchemaId, Type};

/// Schemas whose values have an encoding of their own instead of fields.
const SPECIAL: &[(&str, Type)] = &[
    ("pkg.api.resource.Quantity", Type::Quantity),
    ("pkg.apis.meta.v1.Time", Type::Time),
    ("pkg.apis.meta.v1.MicroTime", Type::MicroTime),
    ("pkg.util.intstr.IntOrString", Type::IntOrString),
];

/// Schemas without fields whose values are any JSON object.
const FREE_FORM: &[&str] = &[
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
    "io.k8s.apimachinery.pkg.runtime.RawExtension",
];

/// All schemas of a table, sorted by name. What the table's format does not know is left out; the
/// tests of this module's parent hold for the table that is built in.
pub(super) fn read(table: &'static str) -> Vec<Schema> {
    let rows = || {
        let lines = table.lines().skip(1);
        lines.filter_map(|line| {
            let mut columns = line.split('\t');
            let mut next = || columns.next();
            Some([next()?, next()?, next()?, next()?, next()?])
        })
    };
    let mut names: Vec<&'static str> = rows().map(|row| row[0]).collect();
    names.sort_unstable();
    names.dedup();
    let ids: HashMap<&str, usize> = names.iter().enumerate().map(|(i, n)| (*n, i)).collect();
    let mut untyped = vec![false; names.len()];
    for row in rows().filter(|row| row[1] == "-" && row[2] == "any") {
        untyped[ids[row[0]]] = true;
    }
    let types = Types { ids, untyped };
    let mut schemas: Vec<Schema> = names.into_iter().map(empty).collect();
    for [schema, name, kind, required, facts] in rows() {
        let schema = &mut schemas[types.ids[schema]];
        if name == "-" {
            schema.atomic = each(facts).any(|fact| fact == ("map-type", "\"atomic\""));
            continue;
        }
        let (field, always) = field(name, types.of(kind), kind, required, facts);
        schema.fields.push(field);
        if always {
            schema.always.push(schema.fields.len() - 1);
        }
    }
    for schema in &mut schemas {
        sort(schema);
    }
    schemas
}

fn empty(name: &'static str) -> Schema {
    Schema {
        name,
        atomic: false,
        free_form: FREE_FORM.contains(&name),
        fields: Vec::new(),
        always: Vec::new(),
    }
}

/// Brings the fields into the order that [`Schema::field`] searches.
fn sort(schema: &mut Schema) {
    let always: Vec<&str> = schema
        .always
        .iter()
        .map(|i| schema.fields[*i].name)
        .collect();
    schema.fields.sort_by_key(|f| f.name);
    let indexes = schema.fields.iter().enumerate();
    schema.always = indexes
        .filter(|(_, f)| always.contains(&f.name))
        .map(|(i, _)| i)
        .collect();
}

struct Types {
    ids: HashMap<&'static str, usize>,
    untyped: Vec<bool>,
}

impl Types {
    fn of(&self, text: &str) -> Type {
        if let Some(entry) = text.strip_prefix("[]") {
            return Type::List(Box::new(self.of(entry)));
        }
        if let Some(entry) = text.strip_prefix("map:") {
            return Type::Map(Box::new(self.of(entry)));
        }
        if let Some(name) = text.strip_prefix("ref:") {
            let special = SPECIAL.iter().find(|(suffix, _)| name.ends_with(suffix));
            return match (special, self.ids.get(name)) {
                (Some((_, kind)), _) => kind.clone(),
                (None, Some(id)) if !self.untyped[*id] => Type::Object(SchemaId(*id)),
                _ => Type::Any,
            };
        }
        match text {
            "string" => Type::String,
            "boolean" => Type::Boolean,
            "integer:int32" => Type::Int32,
            "integer:int64" => Type::Int64,
            "number:double" => Type::Number,
            "string:byte" => Type::Bytes,
            "string:date-time" => Type::Time,
            _ => Type::Any,
        }
    }
}

fn field(
    name: &'static str,
    kind: Type,
    type_name: &'static str,
    required: &str,
    facts: &'static str,
) -> (Field, bool) {
    let mut field = Field {
        name,
        type_name,
        kind,
        required: required == "required",
        default: None,
        allowed: Vec::new(),
        list_type: ListType::Atomic,
        map_keys: Vec::new(),
        atomic: false,
        patch: PatchStrategy::default(),
        merge_key: None,
        go: None,
        inline: None,
        keep_zero: false,
    };
    let mut always = false;
    for (fact, value) in each(facts) {
        let text = value.trim_matches('"');
        match fact {
            "default" => field.default = serde_json::from_str::<Value>(value).ok(),
            "enum" => field.allowed = texts(value),
            "list-type" if text == "set" => field.list_type = ListType::Set,
            "list-type" if text == "map" => field.list_type = ListType::Map,
            "list-map-keys" => field.map_keys = texts(value),
            "map-type" => field.atomic = text == "atomic",
            "patch-strategy" => {
                field.patch.merge = text.split(',').any(|s| s == "merge");
                field.patch.replace = text == "replace";
                field.patch.retain_keys = text.split(',').any(|s| s == "retainKeys");
            }
            "patch-merge-key" => field.merge_key = Some(text),
            "go" => field.go = Some(text),
            "inline" => field.inline = Some(text),
            "keep-zero" => field.keep_zero = true,
            "always" => {
                field.keep_zero = true;
                always = true;
            }
            _ => {}
        }
    }
    (field, always)
}

/// The facts of a row. Values may hold spaces inside quotes.
fn each(facts: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut rest = facts;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let mut quoted = false;
        let end = rest.find(|c| {
            quoted ^= c == '"';
            c == ' ' && !quoted
        });
        let (fact, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        Some(fact.split_once('=').unwrap_or((fact, "")))
    })
}

/// The texts of a JSON list of plain texts, without copying them.
fn texts(list: &'static str) -> Vec<&'static str> {
    list.split('"').skip(1).step_by(2).collect()
}
