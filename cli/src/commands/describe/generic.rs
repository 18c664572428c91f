//! The description of a kind that has none of its own: every field, under a heading made of its name.

use jiff::Timestamp;
use serde_json::Value;

use crate::printer::go::{Value as GoValue, print};
use crate::printer::tabs;

/// Fields that the first lines show, or nobody wants.
const SKIPPED: [&str; 5] = [
    ".metadata.managedFields",
    ".metadata.name",
    ".metadata.namespace",
    ".metadata.labels",
    ".metadata.annotations",
];

/// The most characters of an annotation that are shown on its line.
const LONGEST: usize = 140;

/// Words that are written in capitals.
const ACRONYMS: [&str; 4] = ["API", "URL", "UID", "GUID"];

/// Describes an object; `None` for events leaves them out.
pub(super) fn describe(object: &Value, events: Option<&[Value]>, now: Timestamp) -> String {
    let mut out = format!(
        "Name:\t{}\nNamespace:\t{}\n",
        api::meta::name(object),
        api::meta::namespace(object)
    );
    pairs(&mut out, "Labels", &object["metadata"]["labels"], "=");
    pairs(
        &mut out,
        "Annotations",
        &object["metadata"]["annotations"],
        ": ",
    );
    content(&mut out, 0, object, "");
    if let Some(events) = events {
        event_lines(&mut out, events, now);
    }
    tabs::align(&out)
}

fn pairs(out: &mut String, heading: &str, map: &Value, separator: &str) {
    out.push_str(&format!("{heading}:\t"));
    let shown = map
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| *key != crate::commands::apply::LAST_APPLIED);
    let lines: Vec<String> = shown
        .map(|(key, value)| {
            let value = value.as_str().unwrap_or_default();
            let value = value.trim_end_matches('\n');
            if separator == ": " && (value.len() + key.len() + 2 > LONGEST || value.contains('\n'))
            {
                let body: Vec<String> = value
                    .split('\n')
                    .map(|l| format!("\t  {}", shorten(l)))
                    .collect();
                return format!("{key}:\n{}", body.join("\n"));
            }
            format!("{key}{separator}{value}")
        })
        .collect();
    out.push_str(&if lines.is_empty() {
        "<none>".to_owned()
    } else {
        lines.join("\n\t")
    });
    out.push('\n');
}

/// The beginning of a long line.
fn shorten(line: &str) -> String {
    match line.char_indices().nth(LONGEST - 2) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line.to_owned(),
    }
}

fn content(out: &mut String, level: usize, object: &Value, path: &str) {
    let indent = "  ".repeat(level);
    for (field, value) in object.as_object().into_iter().flatten() {
        let path = format!("{path}.{field}");
        if SKIPPED.contains(&path.as_str()) {
            continue;
        }
        let label = label(field);
        match value {
            Value::Object(_) => {
                out.push_str(&format!("{indent}{label}:\n"));
                content(out, level + 1, value, &path);
            }
            Value::Array(list) => {
                out.push_str(&format!("{indent}{label}:\n"));
                for item in list {
                    if item.is_object() {
                        content(out, level + 1, item, &path);
                    } else {
                        out.push_str(&format!("{indent}  {}\n", print::text(&GoValue::of(item))));
                    }
                }
            }
            Value::Null => out.push_str(&format!("{indent}{label}:\t<nil>\n")),
            other => out.push_str(&format!(
                "{indent}{label}:\t{}\n",
                print::text(&GoValue::of(other))
            )),
        }
    }
}

/// `API Version` of `apiVersion`.
fn label(field: &str) -> String {
    if field.contains(|c: char| !c.is_alphabetic() && c != '-') {
        return field.to_owned();
    }
    let words = plurals(split(field)).into_iter().map(|word| {
        let upper = word.to_uppercase();
        if ACRONYMS.contains(&upper.as_str()) {
            return upper;
        }
        let mut chars = word.chars();
        match chars.next() {
            Some(first) if word.to_lowercase() == word => {
                first.to_uppercase().chain(chars).collect()
            }
            _ => word,
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Joins what [`split`] took apart in plurals of acronyms: `UR` and `Ls` are `URLs`.
fn plurals(words: Vec<String>) -> Vec<String> {
    let acronym = |word: &String| word.len() >= 2 && word.chars().all(|c| !c.is_lowercase());
    let mut joined: Vec<String> = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some(mut word) = words.next() {
        if acronym(&word)
            && let Some(rest) = words.next_if(|next| next.starts_with(char::is_uppercase))
        {
            word.push_str(&rest);
        }
        joined.push(word);
    }
    joined
}

/// The words of a name in camel case; the last capital of a run begins the next word.
fn split(name: &str) -> Vec<String> {
    let class = |c: char| {
        if c.is_lowercase() {
            1
        } else if c.is_uppercase() {
            2
        } else {
            3
        }
    };
    let mut runs: Vec<Vec<char>> = Vec::new();
    for c in name.chars() {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| class(*last) == class(c)) => run.push(c),
            _ => runs.push(vec![c]),
        }
    }
    for at in 0..runs.len().saturating_sub(1) {
        if runs[at][0].is_uppercase()
            && runs[at + 1][0].is_lowercase()
            && let Some(capital) = runs[at].pop()
        {
            runs[at + 1].insert(0, capital);
        }
    }
    runs.into_iter()
        .filter(|r| !r.is_empty())
        .map(|r| r.into_iter().collect())
        .collect()
}

fn event_lines(out: &mut String, events: &[Value], now: Timestamp) {
    if events.is_empty() {
        out.push_str("Events:\t<none>\n");
        return;
    }
    let mut sorted: Vec<&Value> = events.iter().collect();
    sorted.sort_by_key(|e| e["lastTimestamp"].as_str());
    out.push_str(
        "Events:\n  Type\tReason\tAge\tFrom\tMessage\n  ----\t------\t----\t----\t-------\n",
    );
    for event in sorted {
        let text = |field: &str| event[field].as_str().unwrap_or_default();
        let age = |field: &str| match event[field].as_str().and_then(api::meta::time::parse) {
            Some(time) => api::meta::time::human_duration(now.duration_since(time)),
            None => "<unknown>".to_owned(),
        };
        let count = event["count"].as_i64().unwrap_or(0);
        let when = if event["firstTimestamp"].is_null() {
            age("eventTime")
        } else {
            age("firstTimestamp")
        };
        let when = if count > 1 {
            format!("{} (x{count} over {when})", age("lastTimestamp"))
        } else {
            when
        };
        let component = event["source"]["component"]
            .as_str()
            .filter(|c| !c.is_empty())
            .or(event["reportingComponent"].as_str());
        let host = event["source"]["host"]
            .as_str()
            .map(|h| format!(", {h}"))
            .unwrap_or_default();
        out.push_str(&format!(
            "  {}\t{}\t{when}\t{}{host}\t{}\n",
            text("type"),
            text("reason"),
            component.unwrap_or_default(),
            text("message").trim()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_words_with_acronyms_in_capitals() {
        assert_eq!(label("apiVersion"), "API Version");
        assert_eq!(label("creationTimestamp"), "Creation Timestamp");
        assert_eq!(label("nonResourceURLs"), "Non Resource URLs");
        assert_eq!(label("podCIDRs"), "Pod CIDRs");
        assert_eq!(label("clusterIPs"), "Cluster I Ps");
        assert_eq!(label("foo-bar"), "Foo - Bar");
        assert_eq!(label("a.b/c"), "a.b/c");
    }
}
