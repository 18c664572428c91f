//! `eq`, `ne`, `lt`, `le`, `gt` and `ge`.

use super::Called;
use crate::printer::go::compare::{Kind, below, both_whole, kind, same};
use crate::printer::go::{Value, print};

const BAD_TYPE: &str = "invalid type for comparison";

/// Whether the first is the same as any of the others.
pub(super) fn eq<'a>(values: &[Value<'a>]) -> Called<'a> {
    equal(values).map(Value::from)
}

fn equal(values: &[Value]) -> Result<bool, String> {
    let (one, others) = match values.split_first() {
        Some((one, others)) if !others.is_empty() => (one, others),
        _ => return Err("missing argument for comparison".to_owned()),
    };
    for other in others {
        if equal_to(one, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal_to(one: &Value, other: &Value) -> Result<bool, String> {
    let (a, b) = (kind(one), kind(other));
    if a != b && !both_whole(a, b) {
        if one.is_nil() || other.is_nil() {
            return Ok(false);
        }
        return Err(incompatible(one, other));
    }
    if a != Kind::None {
        return Ok(same(one, other));
    }
    if one.is_nil() || other.is_nil() {
        return Ok(one.is_nil() == other.is_nil());
    }
    let shown = |value: &Value| {
        let text = print::sprintf(b"%s", std::slice::from_ref(value));
        String::from_utf8_lossy(&text).into_owned()
    };
    let (one_type, other_type) = (one.data.type_name(), other.data.type_name());
    if one_type != other_type {
        return Err(format!(
            "non-comparable types {}: {one_type}, {other_type}: {}",
            shown(one),
            print::text(other)
        ));
    }
    Err(format!(
        "non-comparable type {}: {other_type}",
        shown(other)
    ))
}

fn incompatible(one: &Value, other: &Value) -> String {
    format!(
        "incompatible types for comparison: {} and {}",
        one.data.type_name(),
        other.data.type_name()
    )
}

fn less(values: &[Value]) -> Result<bool, String> {
    let [one, other] = values else {
        return Err("missing argument for comparison".to_owned());
    };
    let (a, b) = (kind(one), kind(other));
    if a == Kind::None || b == Kind::None {
        return Err(BAD_TYPE.to_owned());
    }
    if a != b && !both_whole(a, b) {
        return Err(incompatible(one, other));
    }
    if matches!(a, Kind::Bool | Kind::Complex) {
        return Err(BAD_TYPE.to_owned());
    }
    Ok(below(one, other))
}

fn less_or_equal(values: &[Value]) -> Result<bool, String> {
    Ok(less(values)? || equal(values)?)
}

pub(super) fn ne<'a>(values: &[Value<'a>]) -> Called<'a> {
    Ok((!equal(values)?).into())
}

pub(super) fn lt<'a>(values: &[Value<'a>]) -> Called<'a> {
    Ok(less(values)?.into())
}

pub(super) fn le<'a>(values: &[Value<'a>]) -> Called<'a> {
    Ok(less_or_equal(values)?.into())
}

pub(super) fn gt<'a>(values: &[Value<'a>]) -> Called<'a> {
    Ok((!less_or_equal(values)?).into())
}

pub(super) fn ge<'a>(values: &[Value<'a>]) -> Called<'a> {
    Ok((!less(values)?).into())
}
