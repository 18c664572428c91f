//! The one form of an object: which fields are left out when zero, and which are always there.
//!
//! Kubernetes stores objects as its Go types encode them, so `labels: {}` and `hostNetwork: false`
//! vanish and a container without `resources` shows `resources: {}`. Clients compare what they get
//! with what they sent, so this is part of the API. The facts are in `canonical.tsv`, a line a field:
//!
//! | zero | the field, when it is absent or zero |
//! |---|---|
//! | `drop` | is left out |
//! | `{}` `""` `0` `false` `null` | is there with that value |
//! | `-` | stays as it came: zero and absent differ |
//!
//! `nested` is the type of the field, of its elements (`[]`) or of its entries (`{}`).

use std::collections::HashMap;
use std::sync::OnceLock;

use serde_json::{Map, Value};

static FACTS: &str = include_str!("canonical.tsv");

/// What becomes of an absent or zero field.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Zero {
    Keep,
    Drop,
    Emit(Value),
}

/// How the values of a nested type sit in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Object,
    List,
    Map,
}

struct Fact {
    field: &'static str,
    zero: Zero,
    nested: Option<(Shape, usize)>,
}

struct Table {
    index: HashMap<&'static str, usize>,
    types: Vec<Vec<Fact>>,
}

/// Brings an object of the type `schema`, such as `io.k8s.api.core.v1.Pod`, into its one form.
/// A type without facts is left alone.
pub(crate) fn canonical(schema: &str, object: &mut Value) {
    let table = table();
    let name = schema
        .trim_start_matches("io.k8s.api.")
        .trim_start_matches("io.k8s.apimachinery.pkg.apis.");
    if let (Some(&at), Some(fields)) = (table.index.get(name), object.as_object_mut()) {
        table.apply(at, fields);
    }
}

impl Table {
    fn apply(&self, at: usize, fields: &mut Map<String, Value>) {
        for fact in &self.types[at] {
            match fields.get_mut(fact.field) {
                Some(value) => {
                    if let Some((shape, nested)) = fact.nested {
                        self.descend(shape, nested, value);
                    }
                    match &fact.zero {
                        Zero::Drop if is_zero(value) => {
                            fields.remove(fact.field);
                        }
                        Zero::Emit(zero) if value.is_null() => *value = zero.clone(),
                        _ => {}
                    }
                }
                None => {
                    if let Zero::Emit(zero) = &fact.zero {
                        let mut value = zero.clone();
                        if let Some((shape, nested)) = fact.nested {
                            self.descend(shape, nested, &mut value);
                        }
                        fields.insert(fact.field.to_owned(), value);
                    }
                }
            }
        }
    }

    fn descend(&self, shape: Shape, nested: usize, value: &mut Value) {
        let each = |value: &mut Value| {
            if let Some(fields) = value.as_object_mut() {
                self.apply(nested, fields);
            }
        };
        match (shape, value) {
            (Shape::Object, value) => each(value),
            (Shape::List, Value::Array(items)) => items.iter_mut().for_each(each),
            (Shape::Map, Value::Object(entries)) => entries.values_mut().for_each(each),
            _ => {}
        }
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
    }
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| parse(FACTS))
}

fn parse(facts: &'static str) -> Table {
    let mut table = Table {
        index: HashMap::new(),
        types: Vec::new(),
    };
    for line in facts.lines().skip(1) {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap_or_default();
        let (schema, field, zero, nested) = (next(), next(), next(), next());
        let at = table.index_of(schema);
        // The server maintains managed fields itself.
        let nested = match nested {
            "-" => None,
            _ if field == "managedFields" => None,
            n => Some(if let Some(n) = n.strip_prefix("[]") {
                (Shape::List, table.index_of(n))
            } else if let Some(n) = n.strip_prefix("{}") {
                (Shape::Map, table.index_of(n))
            } else {
                (Shape::Object, table.index_of(n))
            }),
        };
        let zero = match zero {
            "-" => Zero::Keep,
            "drop" => Zero::Drop,
            value => serde_json::from_str(value).map_or(Zero::Keep, Zero::Emit),
        };
        table.types[at].push(Fact {
            field,
            zero,
            nested,
        });
    }
    table
}

impl Table {
    fn index_of(&mut self, schema: &'static str) -> usize {
        let next = self.types.len();
        let at = *self.index.entry(schema).or_insert(next);
        if at == next {
            self.types.push(Vec::new());
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn zero_fields_vanish_and_structs_appear() {
        let mut pod = json!({
            "metadata": {"name": "a", "labels": {}},
            "spec": {
                "hostNetwork": false,
                "containers": [{"name": "c", "image": "i", "command": [], "tty": false}],
                "automountServiceAccountToken": false,
            },
        });
        canonical("io.k8s.api.core.v1.Pod", &mut pod);
        assert_eq!(
            pod,
            json!({
                "metadata": {"name": "a"},
                "spec": {
                    "containers": [{"name": "c", "image": "i", "resources": {}}],
                    "automountServiceAccountToken": false,
                },
                "status": {},
            })
        );
    }

    #[test]
    fn every_fact_is_understood() {
        for line in FACTS.lines().skip(1) {
            let columns: Vec<&str> = line.split('\t').collect();
            assert_eq!(columns.len(), 4, "{line}");
            let zero = columns[2];
            assert!(
                matches!(zero, "-" | "drop") || serde_json::from_str::<Value>(zero).is_ok(),
                "{line}"
            );
        }
    }
}
