//! KYAML: YAML in braces, strings always quoted, keys bare, a comma after every entry (KEP-5295).

use serde_json::Value;

use super::json;

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
        let mut quoted = String::new();
        json::string(text, &mut quoted);
        // A tab inside quotes needs no escape in YAML.
        out.push_str(&quoted.replace("\\t", "\t"));
        return;
    }
    out.push_str("\"\\\n");
    for line in text.split_inclusive('\n') {
        indent(depth, out);
        // White space at the start of a line would be lost, unless it is escaped.
        let spaced = line.starts_with(|c: char| c.is_whitespace() && c != '\n');
        out.push(if spaced { '\\' } else { ' ' });
        let mut quoted = String::new();
        json::string(line.trim_end_matches('\n'), &mut quoted);
        out.push_str(&quoted[1..quoted.len() - 1].replace("\\t", "\t"));
        out.push_str(if line.ends_with('\n') {
            "\\n\\\n"
        } else {
            "\\\n"
        });
    }
    indent(depth, out);
    out.push('"');
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

/// Keys that another YAML reader could take for something else are quoted.
fn write_key(key: &str, out: &mut String) {
    let plain = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
    let special = matches!(
        key.to_lowercase().as_str(),
        "y" | "n"
            | "t"
            | "f"
            | "inf"
            | "infinity"
            | "nan"
            | "yes"
            | "no"
            | "on"
            | "off"
            | "true"
            | "false"
            | "null"
    );
    if plain && !special {
        out.push_str(key);
    } else {
        json::string(key, out);
    }
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
