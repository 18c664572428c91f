//! How two specs differ, as the message about a refused update shows it.

use std::fmt::Write as _;

use serde_json::Value;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// A unified diff of the two values as indented JSON, with the names as Kubernetes' own types
/// have them: capitalised.
pub(super) fn between(old: &Value, new: &Value) -> String {
    let (old, new) = (lines(old), lines(new));
    let steps = steps(&old, &new);
    let mut out = String::new();
    let mut at = 0;
    while let Some(first) = (at..steps.len()).find(|i| steps[*i].0 != ' ') {
        let from = first.saturating_sub(CONTEXT).max(at);
        let mut last = first;
        let mut end = first + 1;
        while end < steps.len() && end <= last + 2 * CONTEXT {
            if steps[end].0 != ' ' {
                last = end;
            }
            end += 1;
        }
        let to = (last + CONTEXT + 1).min(steps.len());
        hunk(&mut out, &steps, from, to);
        at = to;
    }
    out
}

fn hunk(out: &mut String, steps: &[(char, &str)], from: usize, to: usize) {
    let count = |range: &[(char, &str)], other: char| {
        range.iter().filter(|(kind, _)| *kind != other).count()
    };
    let (before, shown) = (&steps[..from], &steps[from..to]);
    let _ = writeln!(
        out,
        "@@ -{},{} +{},{} @@",
        count(before, '+') + 1,
        count(shown, '+'),
        count(before, '-') + 1,
        count(shown, '-'),
    );
    for (kind, line) in shown {
        let _ = writeln!(out, "{kind}{line}");
    }
}

/// The lines of both texts: kept (` `), removed (`-`) and added (`+`).
fn steps<'a>(old: &'a [String], new: &'a [String]) -> Vec<(char, &'a str)> {
    let same = |(a, b): &(&String, &String)| a == b;
    let head = old.iter().zip(new).take_while(same).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(same);
    let tail = tail.count().min(rest);
    let (from, to) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let common = |range: &'a [String]| range.iter().map(|l| (' ', l.as_str()));
    let mut steps: Vec<_> = common(&old[..head]).collect();
    steps.extend(middle(from, to));
    steps.extend(common(&old[old.len() - tail..]));
    steps
}

/// The longest common subsequence, by dynamic programming: specs have a few hundred lines.
fn middle<'a>(old: &'a [String], new: &'a [String]) -> Vec<(char, &'a str)> {
    let mut longest = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            longest[i][j] = if old[i] == new[j] {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut steps = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            steps.push((' ', old[i].as_str()));
            i += 1;
            j += 1;
        } else if j >= new.len() || (i < old.len() && longest[i + 1][j] >= longest[i][j + 1]) {
            steps.push(('-', old[i].as_str()));
            i += 1;
        } else {
            steps.push(('+', new[j].as_str()));
            j += 1;
        }
    }
    steps
}

fn lines(value: &Value) -> Vec<String> {
    let mut out = Vec::new();
    write(&mut out, "", value, 0, "");
    out
}

fn write(out: &mut Vec<String>, name: &str, value: &Value, depth: usize, comma: &str) {
    let indent = " ".repeat(depth);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            out.push(format!("{indent}{name}{{"));
            let last = fields.len() - 1;
            for (at, (key, value)) in fields.iter().enumerate() {
                let comma = if at == last { "" } else { "," };
                let name = format!("{:?}: ", capitalised(key));
                write(out, &name, value, depth + 1, comma);
            }
            out.push(format!("{indent}}}{comma}"));
        }
        Value::Array(items) if !items.is_empty() => {
            out.push(format!("{indent}{name}["));
            let last = items.len() - 1;
            for (at, value) in items.iter().enumerate() {
                let comma = if at == last { "" } else { "," };
                write(out, "", value, depth + 1, comma);
            }
            out.push(format!("{indent}]{comma}"));
        }
        scalar => out.push(format!("{indent}{name}{scalar}{comma}")),
    }
}

/// A field as Go exports it. Keys of labels and resources keep their case.
fn capitalised(key: &str) -> String {
    let field = key.chars().any(char::is_uppercase) || key.chars().all(|c| c.is_ascii_lowercase());
    let mut chars = key.chars();
    match chars.next().filter(|_| field) {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_changed_field_is_shown_with_its_neighbours() {
        let old = json!({"a": 1, "b": 2, "c": 3, "dnsPolicy": "Default", "e": 5, "f": 6, "g": 7});
        let mut new = old.clone();
        new["dnsPolicy"] = "None".into();
        assert_eq!(
            between(&old, &new),
            "@@ -2,7 +2,7 @@\n  \"A\": 1,\n  \"B\": 2,\n  \"C\": 3,\n- \"DnsPolicy\": \"Default\",\n+ \"DnsPolicy\": \"None\",\n  \"E\": 5,\n  \"F\": 6,\n  \"G\": 7\n"
        );
    }

    #[test]
    fn equal_values_have_no_difference() {
        assert_eq!(between(&json!({"a": [1, 2]}), &json!({"a": [1, 2]})), "");
    }
}
