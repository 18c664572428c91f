//! Tables as kubectl prints them: columns three blanks apart and at least six wide, nothing after
//! the last cell, and widths that only grow while a watch goes on.
//!
//! comfy-table lays the columns out; the last one is appended as it is, so that no line gets blanks
//! that kubectl doesn't print.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width};
use serde_json::Value;

use super::jsonpath;

/// The least width of a column with its padding.
const MINIMUM: usize = 6;
/// What separates columns.
const PADDING: usize = 3;

/// Rows that share their columns' widths.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
}

impl Layout {
    /// Adds a row.
    pub(crate) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// Whether there is nothing to print.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The text of the rows so far; later rows keep at least these widths.
    pub(crate) fn flush(&mut self) -> String {
        let rows = std::mem::take(&mut self.rows);
        let columns = rows
            .iter()
            .map(|r| r.len().saturating_sub(1))
            .max()
            .unwrap_or(0);
        self.widths.resize(columns.max(self.widths.len()), MINIMUM);
        for row in &rows {
            for (width, cell) in self
                .widths
                .iter_mut()
                .zip(&row[..row.len().saturating_sub(1)])
            {
                *width = (*width).max(cell.chars().count() + PADDING);
            }
        }
        let mut out = String::new();
        if columns == 0 {
            for row in &rows {
                out.push_str(row.first().map_or("", String::as_str));
                out.push('\n');
            }
            return out;
        }
        let mut table = Table::new();
        table
            .load_style(comfy_table::presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        for row in &rows {
            table.add_row(
                row[..row.len().saturating_sub(1)]
                    .iter()
                    .map(String::as_str),
            );
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 0));
            let width = u16::try_from(self.widths[index]).unwrap_or(u16::MAX);
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
        }
        for (line, row) in table.lines().zip(&rows) {
            out.push_str(&line);
            out.push_str(row.last().map_or("", String::as_str));
            out.push('\n');
        }
        out
    }
}

/// What a table shows besides its cells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Columns of priority above zero too.
    pub(crate) wide: bool,
    /// The namespace, first.
    pub(crate) with_namespace: bool,
    /// `kind.group` in front of names, or empty.
    pub(crate) kind: String,
    /// All labels, last.
    pub(crate) show_labels: bool,
    /// These labels, each a column.
    pub(crate) label_columns: Vec<String>,
}

/// Adds the headings of a server's table.
pub(crate) fn headings(table: &Value, options: &Options, extra: Option<&str>) -> Vec<String> {
    let mut row = Vec::new();
    row.extend(extra.map(str::to_owned));
    if options.with_namespace {
        row.push("NAMESPACE".to_owned());
    }
    for column in columns(table, options) {
        row.push(column["name"].as_str().unwrap_or_default().to_uppercase());
    }
    for label in &options.label_columns {
        row.push(label.rsplit('/').next().unwrap_or(label).to_uppercase());
    }
    if options.show_labels {
        row.push("LABELS".to_owned());
    }
    row
}

fn columns<'a>(table: &'a Value, options: &Options) -> impl Iterator<Item = &'a Value> {
    let wide = options.wide;
    let all = table["columnDefinitions"].as_array().into_iter().flatten();
    all.filter(move |c| wide || c["priority"].as_i64().unwrap_or(0) == 0)
}

/// One row of a server's table.
pub(crate) fn cells(
    table: &Value,
    row: &Value,
    options: &Options,
    extra: Option<&str>,
) -> Vec<String> {
    let meta = &row["object"]["metadata"];
    let mut out = Vec::new();
    out.extend(extra.map(str::to_owned));
    if options.with_namespace {
        out.push(meta["namespace"].as_str().unwrap_or_default().to_owned());
    }
    let definitions = table["columnDefinitions"].as_array().into_iter().flatten();
    for (column, cell) in definitions.zip(row["cells"].as_array().into_iter().flatten()) {
        if !options.wide && column["priority"].as_i64().unwrap_or(0) != 0 {
            continue;
        }
        let text = cell_text(cell);
        if column["format"] == "name" && column["name"] == "Name" && !options.kind.is_empty() {
            out.push(format!("{}/{text}", options.kind));
        } else {
            out.push(text);
        }
    }
    for label in &options.label_columns {
        out.push(
            meta["labels"][label.as_str()]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        );
    }
    if options.show_labels {
        out.push(labels(&meta["labels"]));
    }
    out
}

/// `a=b,c=d`, or `<none>`.
pub(crate) fn labels(labels: &Value) -> String {
    let pairs: Vec<String> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    if pairs.is_empty() {
        "<none>".to_owned()
    } else {
        pairs.join(",")
    }
}

/// A cell as text: cut at the first line break, with control characters made visible.
fn cell_text(cell: &Value) -> String {
    let text = jsonpath::show(cell).into_owned();
    if !text.contains(|c: char| c.is_control()) {
        return text;
    }
    let cut = text.find(['\u{c}', '\n', '\r']);
    let mut shown = escape(&text[..cut.unwrap_or(text.len())]);
    if cut.is_some() {
        shown.push_str("...");
    }
    shown
}

/// Terminal sequences must not reach the terminal.
fn escape(text: &str) -> String {
    text.replace('\u{1b}', "^[")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|c| (*c).to_owned()).collect()
    }

    #[test]
    fn columns_are_three_blanks_apart_and_the_last_has_none() {
        let mut layout = Layout::default();
        layout.push(row(&["NAME", "READY", "AGE"]));
        layout.push(row(&["web-1", "1/1", "5m"]));
        assert_eq!(layout.flush(), "NAME    READY   AGE\nweb-1   1/1     5m\n");
    }

    #[test]
    fn later_rows_keep_the_widths_of_earlier_ones() {
        let mut layout = Layout::default();
        layout.push(row(&["a-long-name", "1"]));
        layout.flush();
        layout.push(row(&["b", "2"]));
        assert_eq!(layout.flush(), "b             2\n");
    }

    #[test]
    fn an_empty_last_cell_leaves_the_padding() {
        let mut layout = Layout::default();
        layout.push(row(&["", "x", ""]));
        assert_eq!(layout.flush(), "      x     \n");
    }
}
