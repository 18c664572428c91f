//! The table of field numbers.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::schema;

/// A field of a message.
#[derive(Clone, Copy)]
pub(super) struct Field {
    /// Its name, in JSON as well.
    pub(super) name: &'static str,
    /// What it holds: one of protobuf's types, or a message.
    pub(super) kind: &'static str,
    /// How often.
    pub(super) label: Label,
    /// Whether JSON has the fields of the message in the object around it, as Go's embedded structs.
    pub(super) inline: bool,
}

/// How often a field occurs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Once,
    Repeated,
    /// A map from texts.
    Map,
}

type Messages = HashMap<&'static str, HashMap<u64, Field>>;

static MESSAGES: LazyLock<Messages> = LazyLock::new(|| read(include_str!("fields.tsv")));

/// The fields of a message by number. `None` for a message that no request holds.
pub(super) fn of(message: &str) -> Option<&'static HashMap<u64, Field>> {
    MESSAGES.get(message)
}

fn read(table: &'static str) -> Messages {
    let mut messages = Messages::new();
    for line in table.lines().skip(1) {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap_or_default();
        let (message, name, number, kind, label) = (next(), next(), next(), next(), next());
        let label = match label {
            "repeated" => Label::Repeated,
            "map" => Label::Map,
            _ => Label::Once,
        };
        // A struct that only ever is embedded has no schema.
        let known = schema::of(&format!("io.k8s.{message}"))
            .is_none_or(|schema| schema.field(name).is_some());
        let is_message = kind.contains('.');
        let Ok(number) = number.parse() else {
            continue;
        };
        // A plain value that JSON does not have is of no use.
        if !known && !is_message {
            continue;
        }
        let field = Field {
            name,
            kind,
            label,
            inline: !known,
        };
        messages.entry(message).or_default().insert(number, field);
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_message_whose_messages_are_there() {
        for kind in crate::kinds::KINDS {
            let schema = kind.resource().schema;
            let message = schema.strip_prefix("io.k8s.").expect("a schema of ours");
            assert!(of(message).is_some(), "{message}");
        }
        let special = |kind: &str| super::super::message::is_special(kind);
        for field in MESSAGES.values().flat_map(HashMap::values) {
            let kind = field.kind;
            assert!(
                !kind.contains('.') || special(kind) || of(kind).is_some() || is_empty(kind),
                "{kind}"
            );
        }
    }

    /// A message without fields has no rows.
    fn is_empty(kind: &str) -> bool {
        schema::of(&format!("io.k8s.{kind}")).is_some_and(|schema| schema.fields().count() == 0)
    }
}
