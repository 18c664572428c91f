//! JSON as Go writes it: four spaces, and `<`, `>` and `&` escaped.

use std::fmt::Write as _;

use serde_json::Value;

/// Indented, with a newline at the end.
pub(crate) fn pretty(value: &Value) -> String {
    pretty_in(value, &[])
}

/// Indented, with a newline at the end; these fields come first wherever they are, in this order, as those
/// of a Go struct do.
pub(crate) fn pretty_in(value: &Value, order: &[&str]) -> String {
    let mut out = String::new();
    write(value, Some(0), order, &mut out);
    out.push('\n');
    out
}

/// On one line.
pub(crate) fn compact(value: &Value) -> String {
    let mut out = String::new();
    write(value, None, &[], &mut out);
    out
}

fn write(value: &Value, depth: Option<usize>, order: &[&str], out: &mut String) {
    let item =
        |item: &Value, depth: Option<usize>, out: &mut String| write(item, depth, order, out);
    match value {
        Value::String(text) => string(text, out),
        Value::Array(list) => {
            let each = list.iter().map(|item| (None, item));
            block(['[', ']'], each, depth, out, item);
        }
        Value::Object(map) => {
            let each = map.iter().map(|(key, item)| (Some(key.as_str()), item));
            if order.is_empty() {
                return block(['{', '}'], each, depth, out, item);
            }
            let place = |key: &str| order.iter().position(|known| *known == key);
            let mut each: Vec<_> = each.collect();
            each.sort_by_key(|(key, _)| key.and_then(place).unwrap_or(order.len()));
            block(['{', '}'], each.into_iter(), depth, out, item);
        }
        // Writing to a string can't fail.
        other => drop(write!(out, "{other}")),
    }
}

/// A list or an object: `write` writes each of its items.
pub(super) fn block<'a, T: 'a>(
    ends: [char; 2],
    items: impl ExactSizeIterator<Item = (Option<&'a str>, &'a T)>,
    depth: Option<usize>,
    out: &mut String,
    write: impl Fn(&T, Option<usize>, &mut String),
) {
    out.push(ends[0]);
    let empty = items.len() == 0;
    let inner = depth.map(|d| d + 1);
    for (index, (key, item)) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        indent(inner, out);
        if let Some(key) = key {
            string(key, out);
            out.push_str(if depth.is_some() { ": " } else { ":" });
        }
        write(item, inner, out);
    }
    if !empty {
        indent(depth, out);
    }
    out.push(ends[1]);
}

fn indent(depth: Option<usize>, out: &mut String) {
    if let Some(depth) = depth {
        out.push('\n');
        out.extend(std::iter::repeat_n("    ", depth));
    }
}

/// A string as Go's encoder escapes it.
pub(crate) fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => drop(write!(out, "\\u{:04x}", c as u32)),
            c if (c as u32) < 0x20 => drop(write!(out, "\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}
