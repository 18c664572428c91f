//! KYAML: YAML in braces, strings always quoted, keys bare, a comma after every entry (KEP-5295).

use std::fmt::Write as _;

use serde_json::Value;

/// A document.
pub(crate) fn write(value: &Value) -> String {
    let mut out = "---\n".to_owned();
    node(value, 0, &mut out);
    out.push('\n');
    out
}

fn node(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push_str("{\n");
            for (key, inner) in map {
                indent(depth + 1, out);
                write_key(key, out);
                out.push_str(": ");
                node(inner, depth + 1, out);
                out.push_str(",\n");
            }
            indent(depth, out);
            out.push('}');
        }
        Value::Array(list) if !list.is_empty() => sequence(list, depth, out),
        Value::Object(_) => out.push_str("{}"),
        Value::Array(_) => out.push_str("[]"),
        Value::String(text) => string(text, depth + 1, out),
        other => out.push_str(&other.to_string()),
    }
}

/// Lists of maps and of lists are cuddled: `[{`.
fn sequence(list: &[Value], depth: usize, out: &mut String) {
    let cuddled = list.iter().all(|v| v.is_object() || v.is_array());
    if cuddled {
        out.push('[');
        for (index, inner) in list.iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            node(inner, depth, out);
        }
        out.push(']');
        return;
    }
    out.push_str("[\n");
    for inner in list {
        indent(depth + 1, out);
        node(inner, depth + 1, out);
        out.push_str(",\n");
    }
    indent(depth, out);
    out.push(']');
}

/// Strings with line breaks are folded, so that each of their lines is one of the output.
fn string(text: &str, depth: usize, out: &mut String) {
    if !text.contains('\n') {
        out.push('"');
        escaped(text, out);
        out.push('"');
        return;
    }
    out.push_str("\"\\\n");
    for line in text.split_inclusive('\n') {
        indent(depth, out);
        // White space at the start of a line would be lost, unless it is escaped.
        let spaced = line.starts_with(|c: char| c.is_whitespace() && c != '\n');
        out.push(if spaced { '\\' } else { ' ' });
        escaped(line.trim_end_matches('\n'), out);
        out.push_str(if line.ends_with('\n') {
            "\\n\\\n"
        } else {
            "\\\n"
        });
    }
    indent(depth, out);
    out.push('"');
}

/// The inside of a quoted string, with YAML's own escapes, of which JSON has only some. A tab needs none.
fn escaped(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\t' | ' '..='~' => out.push(c),
            '\0' => out.push_str("\\0"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{a0}' => out.push_str("\\_"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            // Writing to a string can't fail.
            '\0'..='\u{7f}' => drop(write!(out, "\\x{:02x}", u32::from(c))),
            c if is_printable(c) => out.push(c),
            '\u{80}'..='\u{ffff}' => drop(write!(out, "\\u{:04x}", u32::from(c))),
            _ => drop(write!(out, "\\U{:08x}", u32::from(c))),
        }
    }
}

/// Whether a character beyond ASCII can be seen, or changes one that can: what Rust prints as it is,
/// after a letter that it may belong to.
fn is_printable(c: char) -> bool {
    let text = String::from_iter(['a', c]);
    text.escape_debug().eq(text.chars())
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn write_key(key: &str, out: &mut String) {
    if is_plain(key) {
        out.push_str(key);
    } else {
        out.push('"');
        escaped(key, out);
        out.push('"');
    }
}

/// Whether a key needs no quotes: it has ordinary characters only, and no YAML reader takes it for
/// something other than a string.
fn is_plain(key: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let inner = |c: char| word(c) || matches!(c, '-' | '.' | '/');
    key.starts_with(word) && key.ends_with(word) && key.chars().all(inner) && !is_special(key)
}

fn is_special(key: &str) -> bool {
    const WORDS: [&str; 11] = [
        "null", "true", "t", "y", "yes", "on", "false", "f", "n", "no", "off",
    ];
    let digits = key.replace('_', "");
    let lower = digits.to_lowercase();
    let based = [("0x", 16), ("0o", 8), ("0b", 2)]
        .iter()
        .any(|(prefix, base)| {
            lower
                .strip_prefix(prefix)
                .is_some_and(|rest| i64::from_str_radix(rest, *base).is_ok())
        });
    WORDS.contains(&key.to_lowercase().as_str())
        || based
        || digits.parse::<f64>().is_ok()
        || is_date(key)
}

/// Whether a key reads as a date, such as `2026-1-31`.
fn is_date(key: &str) -> bool {
    let mut parts = key.split('-');
    let (Some(year), Some(month), Some(day), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let (Ok(number), Ok(month), Ok(day)) = (year.parse(), month.parse(), day.parse()) else {
        return false;
    };
    year.len() == 4 && jiff::civil::Date::new(number, month, day).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_string_are_lines_of_the_output() {
        let value = serde_json::json!({"a": "one\n  two\n\nthree"});
        let expected = "---\n{\n  a: \"\\\n     one\\n\\\n    \\  two\\n\\\n     \\n\\\n     three\\\n    \",\n}\n";
        assert_eq!(write(&value), expected);
    }
}
