//! The functions that templates may call.

use std::cmp::Ordering;

use base64::Engine as _;
use serde_json::Value;

use super::run::truth;
use crate::printer::columns::cell;

/// Their names.
pub(super) const NAMES: [&str; 20] = [
    "and",
    "base64decode",
    "eq",
    "exists",
    "ge",
    "gt",
    "html",
    "index",
    "js",
    "le",
    "len",
    "lt",
    "ne",
    "not",
    "or",
    "print",
    "printf",
    "println",
    "slice",
    "urlquery",
];

/// Calls a function.
pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let first = || {
        arguments
            .first()
            .ok_or_else(|| format!("wrong number of args for {name}: want at least 1 got 0"))
    };
    match name {
        "not" => Ok((!truth(first()?)).into()),
        "len" => length(first()?),
        "index" => index(first()?, &arguments[1..]),
        "slice" => slice(first()?, &arguments[1..]),
        "exists" => Ok(index(first()?, &arguments[1..])
            .is_ok_and(|v| !v.is_null())
            .into()),
        "base64decode" => decode(first()?),
        "print" => Ok(print(arguments).into()),
        "println" => Ok(format!(
            "{}\n",
            arguments.iter().map(cell).collect::<Vec<_>>().join(" ")
        )
        .into()),
        "printf" => printf(first()?.as_str().unwrap_or_default(), &arguments[1..]).map(Value::from),
        "html" => Ok(print(arguments)
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&#34;")
            .replace('\'', "&#39;")
            .into()),
        "js" => Ok(print(arguments)
            .replace('\\', "\\\\")
            .replace('\'', "\\'")
            .replace('"', "\\\"")
            .replace('\n', "\\u000A")
            .replace('<', "\\u003C")
            .replace('>', "\\u003E")
            .into()),
        "urlquery" => Ok(percent_encoding::utf8_percent_encode(
            &print(arguments),
            percent_encoding::NON_ALPHANUMERIC,
        )
        .to_string()
        .replace("%20", "+")
        .into()),
        "eq" => {
            let one = first()?;
            Ok(arguments[1..]
                .iter()
                .any(|other| compare(one, other).is_some_and(Ordering::is_eq) || one == other)
                .into())
        }
        comparison => {
            let [a, b] = arguments else {
                return Err(format!(
                    "wrong number of args for {name}: want 2 got {}",
                    arguments.len()
                ));
            };
            if comparison == "ne" {
                return Ok((!(a == b || compare(a, b).is_some_and(Ordering::is_eq))).into());
            }
            let order = compare(a, b).ok_or_else(|| {
                format!("error calling {name}: incompatible types for comparison")
            })?;
            Ok(match comparison {
                "lt" => order.is_lt(),
                "le" => order.is_le(),
                "gt" => order.is_gt(),
                _ => order.is_ge(),
            }
            .into())
        }
    }
}

fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn length(value: &Value) -> Result<Value, String> {
    match value {
        Value::String(text) => Ok(text.len().into()),
        Value::Array(list) => Ok(list.len().into()),
        Value::Object(map) => Ok(map.len().into()),
        Value::Null => Err("error calling len: len of nil pointer".into()),
        other => Err(format!("error calling len: len of type {other}")),
    }
}

fn index(value: &Value, path: &[Value]) -> Result<Value, String> {
    let mut at = value;
    for step in path {
        at = match (at, step) {
            (Value::Object(map), Value::String(key)) => map.get(key).unwrap_or(&Value::Null),
            (Value::Array(list), Value::Number(number)) => {
                let place = number.as_i64().and_then(|n| usize::try_from(n).ok());
                place.and_then(|p| list.get(p)).ok_or_else(|| {
                    format!("error calling index: reflect: slice index out of range: {number}")
                })?
            }
            (Value::Null, _) => return Err("error calling index: index of untyped nil".into()),
            (other, _) => {
                return Err(format!(
                    "error calling index: can't index item of type {}",
                    cell(other)
                ));
            }
        };
    }
    Ok(at.clone())
}

fn slice(value: &Value, ends: &[Value]) -> Result<Value, String> {
    let end = |at: usize, default: usize| {
        ends.get(at)
            .and_then(Value::as_u64)
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(default)
    };
    let bad = || "error calling slice: index out of range".to_owned();
    match value {
        Value::String(text) => text
            .get(end(0, 0)..end(1, text.len()))
            .map(Value::from)
            .ok_or_else(bad),
        Value::Array(list) => list
            .get(end(0, 0)..end(1, list.len()))
            .map(|l| l.to_vec().into())
            .ok_or_else(bad),
        other => Err(format!(
            "error calling slice: can't slice item of type {}",
            cell(other)
        )),
    }
}

fn decode(value: &Value) -> Result<Value, String> {
    let text = value.as_str().unwrap_or_default();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|_| {
            format!("error calling base64decode: base64 decode failed: illegal base64 data: {text}")
        })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned().into())
}

/// Go's `Sprint`: blanks only between two values neither of which is a string.
fn print(arguments: &[Value]) -> String {
    let mut out = String::new();
    for (at, value) in arguments.iter().enumerate() {
        if at > 0 && !value.is_string() && !arguments[at - 1].is_string() {
            out.push(' ');
        }
        out.push_str(&cell(value));
    }
    out
}

/// The verbs of Go's `Sprintf` that templates use: `%s %v %d %q %t %f %x %%`, with width and `-`.
fn printf(format: &str, arguments: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = String::new();
        while let Some(flag) = chars
            .peek()
            .copied()
            .filter(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | '#' | ' '))
        {
            flags.push(flag);
            chars.next();
        }
        let Some(verb) = chars.next() else {
            return Ok(out + "%!(NOVERB)");
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some(value) = arguments.next() else {
            out.push_str(&format!("%!{verb}(MISSING)"));
            continue;
        };
        pad(&convert(verb, &flags, value), &flags, &mut out);
    }
    Ok(out)
}

fn convert(verb: char, flags: &str, value: &Value) -> String {
    match (verb, value) {
        ('q', Value::String(text)) => format!("{text:?}"),
        ('f', Value::Number(number)) => {
            let places = flags
                .split_once('.')
                .and_then(|(_, p)| p.parse().ok())
                .unwrap_or(6);
            format!("{:.places$}", number.as_f64().unwrap_or_default())
        }
        ('x', Value::Number(number)) => format!("{:x}", number.as_i64().unwrap_or_default()),
        ('x', Value::String(text)) => text.bytes().map(|b| format!("{b:02x}")).collect(),
        ('d', Value::String(text)) => format!("%!d(string={text})"),
        ('s', Value::Number(number)) => format!("%!s(int64={number})"),
        _ => cell(value),
    }
}

fn pad(text: &str, flags: &str, out: &mut String) {
    let left = flags.starts_with('-');
    let width: usize = flags
        .trim_start_matches(['-', '+', '#', ' '])
        .split('.')
        .next()
        .and_then(|w| w.parse().ok())
        .unwrap_or(0);
    let fill = width.saturating_sub(text.chars().count());
    if !left {
        out.extend(std::iter::repeat_n(' ', fill));
    }
    out.push_str(text);
    if left {
        out.extend(std::iter::repeat_n(' ', fill));
    }
}
