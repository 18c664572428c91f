//! Descriptions as `kubectl describe` lays them out: indented lines in aligned columns.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::kind::Query;
use crate::kinds::cell::since;
use crate::kinds::read::{entries, has, int, items, text};
use crate::meta::time;

/// The space between two columns.
const PADDING: usize = 2;
/// Longer annotations get lines of their own, and are cut at that length.
const ANNOTATION_MAX: usize = 140;
/// The annotation that `apply` keeps for itself.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A description that grows. A tab ends a cell; consecutive lines with a cell in the same place have
/// it in one column.
#[derive(Debug, Default)]
pub(crate) struct Description {
    done: String,
    pending: String,
}

impl Description {
    /// Adds text as it is. What would steer a terminal is shown instead.
    pub(crate) fn put(&mut self, text: &str) {
        self.pending
            .push_str(&text.replace('\u{1b}', "^[").replace('\r', "\\r"));
    }

    /// Adds a line, indented by `level`.
    pub(crate) fn line(&mut self, level: usize, text: &str) {
        self.put(&"  ".repeat(level));
        self.put(text);
        self.put("\n");
    }

    /// Adds `name:` and the value in the next column.
    pub(crate) fn field(&mut self, level: usize, name: &str, value: impl std::fmt::Display) {
        self.line(level, &format!("{name}:\t{value}"));
    }

    /// Ends the columns: what follows is aligned on its own.
    pub(crate) fn flush(&mut self) {
        let aligned = align(&std::mem::take(&mut self.pending));
        self.done.push_str(&aligned);
    }

    /// The whole text with its tabs, for those who align nothing.
    pub(crate) fn raw(self) -> String {
        self.done + &self.pending
    }

    /// The whole text.
    pub(crate) fn finish(mut self) -> String {
        self.flush();
        self.done
    }

    /// Adds a map of texts, a line an entry.
    pub(crate) fn labels(&mut self, title: &str, object: &Value, field: &str) {
        let lines: Vec<String> = entries(object, field)
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect();
        self.list(title, &lines);
    }

    /// Adds lines under one title, or `<none>`.
    pub(crate) fn list(&mut self, title: &str, lines: &[String]) {
        self.put(&format!("{title}:\t"));
        if lines.is_empty() {
            self.put("<none>\n");
        }
        for (at, line) in lines.iter().enumerate() {
            self.put(if at == 0 { "" } else { "\t" });
            self.line(0, line);
        }
    }

    /// Adds annotations, long ones cut.
    pub(crate) fn annotations(&mut self, title: &str, metadata: &Value) {
        self.put(&format!("{title}:\t"));
        let shown: Vec<(&str, &Value)> = entries(metadata, "annotations")
            .filter(|(key, _)| *key != LAST_APPLIED)
            .collect();
        if shown.is_empty() {
            self.put("<none>\n");
        }
        for (at, (key, value)) in shown.into_iter().enumerate() {
            self.put(if at == 0 { "" } else { "\t" });
            let value = value.as_str().unwrap_or_default();
            let value = value.strip_suffix('\n').unwrap_or(value);
            if value.len() + key.len() + 2 <= ANNOTATION_MAX && !value.contains('\n') {
                self.line(0, &format!("{key}: {value}"));
                continue;
            }
            self.line(0, &format!("{key}:"));
            for line in value.split('\n') {
                self.line(0, &format!("\t  {}", shorten(line, ANNOTATION_MAX - 2)));
            }
        }
    }

    /// Adds what every object has: name, namespace, labels, annotations.
    pub(crate) fn identity(&mut self, object: &Value) {
        let metadata = &object["metadata"];
        self.field(0, "Name", text(metadata, "name"));
        if has(metadata, "namespace") {
            self.field(0, "Namespace", text(metadata, "namespace"));
        }
        self.labels("Labels", metadata, "labels");
        self.annotations("Annotations", metadata);
    }

    /// Adds the events of all `lists`, oldest first; without a list, nobody asked for events.
    pub(crate) fn events(&mut self, lists: &[Vec<Value>], now: Timestamp) {
        if lists.is_empty() {
            return;
        }
        let mut events: Vec<&Value> = lists.iter().flatten().collect();
        if events.is_empty() {
            return self.line(0, "Events:\t<none>");
        }
        self.flush();
        events.sort_by_key(|e| time::parse(text(e, "lastTimestamp")));
        self.line(0, "Events:\n  Type\tReason\tAge\tFrom\tMessage");
        self.line(1, "----\t------\t----\t----\t-------");
        for event in events {
            self.event(event, now);
        }
    }

    fn event(&mut self, event: &Value, now: Timestamp) {
        let first = match text(event, "eventTime") {
            "" => since(text(event, "firstTimestamp"), now),
            time => since(time, now),
        };
        let series = &event["series"];
        let count = int(event, "count").unwrap_or(0);
        let age = if has(event, "series") {
            let last = since(text(series, "lastObservedTime"), now);
            let count = int(series, "count").unwrap_or(0);
            format!("{last} (x{count} over {first})")
        } else if count > 1 {
            let last = since(text(event, "lastTimestamp"), now);
            format!("{last} (x{count} over {first})")
        } else {
            first
        };
        let source = match text(&event["source"], "component") {
            "" => text(event, "reportingComponent"),
            component => component,
        };
        let message = text(event, "message").trim();
        let message = match text(&event["involvedObject"], "fieldPath") {
            "" => message.to_owned(),
            path => format!("{path}: {message}"),
        };
        let (kind, reason) = (text(event, "type"), text(event, "reason"));
        self.line(1, &format!("{kind}\t{reason}\t{age}\t{source}\t{message}"));
    }

    /// Adds the conditions of a workload.
    pub(crate) fn conditions(&mut self, status: &Value) {
        let conditions = items(status, "conditions");
        if conditions.is_empty() {
            return;
        }
        self.line(0, "Conditions:\n  Type\tStatus\tReason");
        self.line(1, "----\t------\t------");
        for condition in conditions {
            let get = |field: &str| text(condition, field);
            let (kind, status, reason) = (get("type"), get("status"), get("reason"));
            self.line(1, &format!("{kind} \t{status}\t{reason}"));
        }
    }
}

fn shorten(text: &str, max: usize) -> String {
    match text.char_indices().find(|(at, c)| at + c.len_utf8() > max) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

/// A time as descriptions show it, in UTC: `Fri, 02 Jan 2026 03:04:05 +0000`.
pub(crate) fn date(text: &str) -> String {
    match time::parse(text) {
        Some(time) => {
            let time = time.to_zoned(TimeZone::UTC);
            time.strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
        }
        None => "Mon, 01 Jan 0001 00:00:00 +0000".to_owned(),
    }
}

/// The controller of an object, as `Kind/name`.
pub(crate) fn controller(object: &Value) -> Option<String> {
    let owner = crate::meta::controller_of(object)?;
    Some(format!("{}/{}", owner.kind, owner.name))
}

/// The events about an object; `kind` and `uid` narrow them where given.
pub(crate) fn events_about(object: &Value, kind: &str, uid: &str) -> Query {
    let metadata = &object["metadata"];
    let namespace = text(metadata, "namespace");
    let mut fields = vec![format!("involvedObject.name={}", text(metadata, "name"))];
    fields.push(format!("involvedObject.namespace={namespace}"));
    if !kind.is_empty() {
        fields.push(format!("involvedObject.kind={kind}"));
    }
    if !uid.is_empty() {
        fields.push(format!("involvedObject.uid={uid}"));
    }
    Query {
        plural: "events",
        namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
        fields: fields.join(","),
        ..Query::default()
    }
}

/// Lays out the cells of `text` in columns, as Go's `text/tabwriter` does.
fn align(text: &str) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|l| l.split('\t').collect()).collect();
    let mut out = String::with_capacity(text.len() * 2);
    format_block(&lines, &mut Vec::new(), &mut out);
    // The last line has no end of its own.
    out.pop();
    out
}

/// Formats lines that share the columns of `widths`; further columns are found in runs of lines.
fn format_block(lines: &[Vec<&str>], widths: &mut Vec<usize>, out: &mut String) {
    let column = widths.len();
    let mut at = 0;
    while at < lines.len() {
        let run = lines[at..]
            .iter()
            .take_while(|line| column + 1 < line.len())
            .count();
        if run == 0 {
            write_line(&lines[at], widths, out);
            at += 1;
            continue;
        }
        let block = &lines[at..at + run];
        let widest = block.iter().map(|line| line[column].chars().count());
        widths.push(widest.max().unwrap_or(0) + PADDING);
        format_block(block, widths, out);
        widths.pop();
        at += run;
    }
}

fn write_line(cells: &[&str], widths: &[usize], out: &mut String) {
    for (at, cell) in cells.iter().enumerate() {
        out.push_str(cell);
        if let Some(width) = widths.get(at) {
            let used = cell.chars().count();
            out.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_ends_with_a_line_that_has_no_cell_in_it() {
        let mut out = Description::default();
        out.field(0, "Name", "a");
        out.field(0, "Long name", "b");
        out.line(0, "Rest:");
        out.field(1, "X", "c");
        assert_eq!(
            out.finish(),
            "Name:       a\nLong name:  b\nRest:\n  X:  c\n"
        );
    }

    #[test]
    fn dates_are_those_of_mail() {
        assert_eq!(
            date("2026-01-02T03:04:05Z"),
            "Fri, 02 Jan 2026 03:04:05 +0000"
        );
    }
}
