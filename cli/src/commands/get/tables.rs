//! Tables of `get`: the server makes them, several kinds come one below the other.

use serde_json::{Value, json};

use super::Get;
use crate::client::discovery::Resource;
use crate::context::{Context, note, print};
use crate::error::{Error, Result};
use crate::printer::table::{self, Layout, Options};
use crate::printer::{Format, sort};
use crate::target::{self, Resolved, Wanted};

/// What asks for a table.
pub(super) const ACCEPT: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";

/// Prints everything that was asked for.
pub(super) async fn run(
    get: &Get,
    context: &Context,
    resolved: Resolved,
    format: &Format,
) -> Result<()> {
    let mut errors = Vec::new();
    let mut output = Output::default();
    let accept = get.server_print.then_some(ACCEPT);
    let several = get.server_print && get.sort_by.is_some() && resolved.wanted.len() > 1;
    // Kinds are named only if several have been found: until then the first has to wait.
    let mut held: Vec<(&Wanted, Value)> = Vec::new();
    let mut mixed = false;
    for wanted in &resolved.wanted {
        // Chunk by chunk: of a long list no more than one is held as objects.
        let mut paging = Some(String::new());
        while let Some(from) = paging.take() {
            match get.page(context, wanted, accept, &from).await {
                Ok((page, next)) => {
                    let kind = wanted.resource.qualified();
                    mixed |= held.iter().any(|(w, _)| w.resource.qualified() != kind);
                    held.push((wanted, page));
                    if several {
                        continue;
                    }
                    paging = next;
                    if mixed || !resolved.several_types {
                        for (wanted, page) in held.drain(..) {
                            output.add(get, wanted, &page, format, mixed)?;
                        }
                    }
                }
                Err(error) => get.missed(target::unfound(error, wanted, &get.spec()), &mut errors),
            }
        }
    }
    // Several tables are things to put in order themselves, which lack most fields that objects have.
    if let (Some(path), true) = (&get.sort_by, held.len() > 1) {
        sort::sort(&mut held, path, |(_, table)| table)?;
    }
    for (wanted, table) in &held {
        output.add(get, wanted, table, format, mixed)?;
    }
    output.flush()?;
    if !output.written && errors.is_empty() && !get.ignore_not_found {
        let namespaced = resolved.wanted.iter().all(|w| w.resource.namespaced);
        if !namespaced || get.all_namespaces {
            note("No resources found");
        } else {
            note(&format!(
                "No resources found in {} namespace.",
                context.namespace()?
            ));
        }
    }
    Error::many(errors)
}

/// The options of a table of one kind.
pub(super) fn options(
    get: &Get,
    resource: &Resource,
    format: &Format,
    several_types: bool,
) -> Options {
    Options {
        wide: matches!(format, Format::Wide),
        with_namespace: get.all_namespaces && resource.namespaced,
        kind: if several_types || get.show_kind {
            resource.prefix()
        } else {
            String::new()
        },
        show_labels: get.show_labels,
        label_columns: get.label_columns.clone(),
    }
}

/// Tables one below the other, a blank line between kinds.
#[derive(Default)]
struct Output {
    layout: Layout,
    kind: Option<Resource>,
    written: bool,
}

impl Output {
    fn add(
        &mut self,
        get: &Get,
        wanted: &Wanted,
        answer: &Value,
        format: &Format,
        several_types: bool,
    ) -> Result<()> {
        let resource = &wanted.resource;
        let made;
        let table = if answer["kind"] == "Table" {
            answer
        } else {
            made = plain(answer, wanted);
            &made
        };
        let mut rows: Vec<&Value> = table["rows"].as_array().into_iter().flatten().collect();
        if rows.is_empty() {
            return Ok(());
        }
        if let (Some(path), true) = (&get.sort_by, rows.len() > 1) {
            match sort::sort(&mut rows, path, |row| &row["object"]) {
                Err(error @ sort::SortError::Unsortable(..)) => return Err(error.into()),
                // kubectl shows no row of a table that it can't sort, and says nothing of the reason.
                Err(_) => return Ok(()),
                Ok(()) => {}
            }
        }
        let options = options(get, resource, format, several_types);
        if self.kind.as_ref() != Some(resource) {
            self.flush()?;
            self.layout = Layout::default();
            if self.written && !get.no_headers {
                print("\n")?;
            }
            self.kind = Some(resource.clone());
            if !get.no_headers {
                self.layout.push(table::headings(table, &options, None));
            }
        }
        for row in rows {
            self.layout.push(table::cells(table, row, &options, None));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if !self.layout.is_empty() {
            self.written = true;
            print(&self.layout.flush())?;
        }
        Ok(())
    }
}

/// A table of names and ages, for servers that make none.
pub(super) fn plain(answer: &Value, wanted: &Wanted) -> Value {
    let now = jiff::Timestamp::now();
    let items: Vec<&Value> = if wanted.name.is_empty() && answer["items"].is_array() {
        answer["items"].as_array().into_iter().flatten().collect()
    } else {
        vec![answer]
    };
    let rows: Vec<Value> = items
        .into_iter()
        .map(|object| json!({"cells": [api::meta::name(object), age(object, now)], "object": object}))
        .collect();
    json!({
        "kind": "Table",
        "columnDefinitions": [
            {"name": "Name", "type": "string", "format": "name", "priority": 0},
            {"name": "Age", "type": "string", "format": "", "priority": 0},
        ],
        "rows": rows,
    })
}

fn age(object: &Value, now: jiff::Timestamp) -> String {
    match object["metadata"]["creationTimestamp"]
        .as_str()
        .and_then(api::meta::time::parse)
    {
        Some(created) => api::meta::time::human_duration(now.duration_since(created)),
        None => "<unknown>".to_owned(),
    }
}
