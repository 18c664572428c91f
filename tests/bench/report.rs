//! The rows: what was measured on each side, as a table for people and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// One figure of each side. Smaller is better, except of rates.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: f64,
    pub(crate) peer: Option<f64>,
    pub(crate) budget: &'static str,
}

/// All rows of a run.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Adds a row, and says it at once: a run takes minutes.
    pub(crate) fn add(
        &mut self,
        what: impl Into<String>,
        unit: &'static str,
        ours: f64,
        peer: Option<f64>,
        budget: &'static str,
    ) {
        let row = Row {
            what: what.into(),
            unit,
            ours,
            peer,
            budget,
        };
        eprintln!("  {}", line(&row));
        self.rows.push(row);
    }

    /// A Markdown table.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from(
            "| what | ctl, ctld | peer | times better | budget |\n|---|---|---|---|---|\n",
        );
        for row in &self.rows {
            let _ = writeln!(text, "| {} |", line(row));
        }
        text
    }

    /// The same as JSON, a list of objects.
    pub(crate) fn json(&self) -> String {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "what": row.what, "unit": row.unit, "ours": row.ours, "peer": row.peer,
                    "budget": row.budget,
                })
            })
            .collect();
        Value::from(rows).to_string()
    }
}

fn line(row: &Row) -> String {
    let peer = row.peer.map_or("–".to_owned(), |v| figure(v, row.unit));
    let ratio = match (row.peer, row.unit) {
        (Some(peer), "/s") => format!("{:.1}", row.ours / peer),
        (Some(peer), _) if row.ours > 0.0 => format!("{:.1}", peer / row.ours),
        _ => "–".to_owned(),
    };
    format!(
        "{} | {} | {peer} | {ratio} | {}",
        row.what,
        figure(row.ours, row.unit),
        row.budget
    )
}

fn figure(value: f64, unit: &str) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {unit}")
}
