//! What kind a value is of when it is compared.

use super::{Data, Value};

/// The kinds that Go's templates tell apart when they compare.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    None,
    Bool,
    Complex,
    Int,
    Float,
    Text,
    Uint,
}

/// The kind of a value.
pub(crate) fn kind(value: &Value) -> Kind {
    match value.data {
        Data::Bool(_) => Kind::Bool,
        Data::Int(_) | Data::Int64(_) => Kind::Int,
        Data::Byte(_) => Kind::Uint,
        Data::Float(_) => Kind::Float,
        Data::Complex(..) => Kind::Complex,
        Data::Text(_) => Kind::Text,
        Data::Nil | Data::Map(_) | Data::List(_) => Kind::None,
    }
}

/// Whether both are whole numbers, with a sign or without.
pub(crate) fn both_whole(a: Kind, b: Kind) -> bool {
    matches!((a, b), (Kind::Int, Kind::Uint) | (Kind::Uint, Kind::Int))
}

/// Whether two values of one kind, or two whole numbers, are the same.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (&a.data, &b.data) {
        (Data::Bool(a), Data::Bool(b)) => a == b,
        (Data::Float(a), Data::Float(b)) => a == b,
        (Data::Complex(a, b), Data::Complex(c, d)) => a == c && b == d,
        (Data::Text(a), Data::Text(b)) => a == b,
        (a, b) => a.whole().is_some() && a.whole() == b.whole(),
    }
}

/// Whether the first of two values of one kind, or of two whole numbers, is below the second.
pub(crate) fn below(a: &Value, b: &Value) -> bool {
    match (&a.data, &b.data) {
        (Data::Float(a), Data::Float(b)) => a < b,
        (Data::Text(a), Data::Text(b)) => a < b,
        (a, b) => a.whole() < b.whole(),
    }
}
