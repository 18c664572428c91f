//! `get -w`: the list, then every change, until the user or the server ends it.

use serde_json::Value;

use super::{Get, tables};
use crate::client::Request;
use crate::context::{Context, note, print};
use crate::error::Result;
use crate::printer::table::{self, Layout};
use crate::printer::{self, Format, json};
use crate::target::{Resolved, Wanted, watch};

/// Lists and watches one thing.
pub(super) async fn run(
    get: &Get,
    context: &Context,
    format: &Format,
    resolved: Resolved,
) -> Result<()> {
    if get.sort_by.is_some() {
        note(if get.watch_only {
            "warning: --watch-only requested, --sort-by will be ignored"
        } else {
            "warning: --watch requested, --sort-by will be ignored for watch events received"
        });
    }
    let [wanted] = resolved.wanted.as_slice() else {
        return Err("you may only specify a single resource type".into());
    };
    let accept = format.is_human().then_some(tables::ACCEPT);
    let mut show = Shown {
        get,
        wanted,
        format,
        several_types: resolved.several_types,
        layout: Layout::default(),
        headed: false,
        known: !wanted.name.is_empty(),
        definitions: Value::Null,
    };
    let first = get
        .fetch(
            context,
            wanted,
            accept,
            if accept.is_some() { "rows" } else { "items" },
        )
        .await?;
    // The version of one object may be so old that no watch can begin there.
    let version = if wanted.name.is_empty() {
        first["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default()
    } else {
        "0"
    };
    if !get.watch_only {
        show.first(&first)?;
    }
    follow(context, wanted, accept, get, version, |event, object| {
        show.event(event, object)
    })
    .await
}

/// Sends each event of a watch to `each`, until the stream ends.
async fn follow(
    context: &Context,
    wanted: &Wanted,
    accept: Option<&str>,
    get: &Get,
    version: &str,
    mut each: impl FnMut(&str, &Value) -> Result<()>,
) -> Result<()> {
    let fields = if wanted.name.is_empty() {
        get.field_selector.clone().unwrap_or_default()
    } else {
        format!("metadata.name={}", wanted.name)
    };
    let mut request = Request::get(wanted.resource.path(Some(&wanted.namespace)))
        .query("fieldSelector", fields)
        .query("labelSelector", get.selector.clone().unwrap_or_default())
        .query("resourceVersion", version)
        .query("watch", "true");
    request.endless = context.global.request_timeout.is_none();
    if let Some(accept) = accept {
        request = request.accept(accept);
    }
    watch::events(context, request, |kind, object| {
        each(kind, object).map(|()| false)
    })
    .await
}

struct Shown<'a> {
    get: &'a Get,
    wanted: &'a Wanted,
    format: &'a Format,
    several_types: bool,
    layout: Layout,
    headed: bool,
    /// Whether the next event tells only that the object is there, as a watch from version 0 begins.
    known: bool,
    definitions: Value,
}

impl Shown<'_> {
    /// The objects that are there when the watch begins.
    fn first(&mut self, answer: &Value) -> Result<()> {
        if self.format.is_human() {
            let rows = answer["rows"].as_array().is_some_and(|r| !r.is_empty());
            return if rows || answer["kind"] != "Table" {
                self.rows("ADDED", answer)
            } else {
                Ok(())
            };
        }
        match answer["items"].as_array() {
            Some(items) if self.wanted.name.is_empty() => {
                let items: Vec<Value> = crate::target::items(
                    &serde_json::json!({"items": items}),
                    &self.wanted.resource,
                )
                .into_iter()
                .map(|i| i.object)
                .collect();
                items.iter().try_for_each(|item| self.object("ADDED", item))
            }
            _ => self.object("ADDED", answer),
        }
    }

    fn event(&mut self, event: &str, object: &Value) -> Result<()> {
        if std::mem::take(&mut self.known) {
            self.define(object);
            return Ok(());
        }
        if self.format.is_human() {
            self.rows(event, object)
        } else {
            self.object(event, object)
        }
    }

    /// Only the first table of a watch has its columns' definitions.
    fn define(&mut self, table: &Value) {
        let columns = &table["columnDefinitions"];
        if columns.as_array().is_some_and(|c| !c.is_empty()) {
            self.definitions = columns.clone();
        }
    }

    fn rows(&mut self, event: &str, answer: &Value) -> Result<()> {
        let made;
        let answer = if answer["kind"] == "Table" {
            answer
        } else {
            made = tables::plain(answer, self.wanted);
            &made
        };
        self.define(answer);
        let table =
            serde_json::json!({"columnDefinitions": self.definitions, "rows": answer["rows"]});
        let options = tables::options(
            self.get,
            &self.wanted.resource,
            self.format,
            self.several_types,
        );
        let event = format!("{event:<8}");
        let extra = self.get.output_watch_events;
        if !self.headed && !self.get.no_headers {
            self.layout
                .push(table::headings(&table, &options, extra.then_some("EVENT")));
        }
        self.headed = true;
        for row in table["rows"].as_array().into_iter().flatten() {
            self.layout.push(table::cells(
                &table,
                row,
                &options,
                extra.then_some(event.as_str()),
            ));
        }
        print(&self.layout.flush())
    }

    fn object(&mut self, event: &str, object: &Value) -> Result<()> {
        if let Format::Columns(columns) = self.format {
            let headings = !self.headed && !self.get.no_headers;
            self.headed = true;
            let added = columns.add(&[object], headings, &mut self.layout);
            print(&self.layout.flush())?;
            return Ok(added?);
        }
        if self.get.output_watch_events && matches!(self.format, Format::Json) {
            let (event, object) = (json::compact(&event.into()), json::compact(object));
            return print(&format!("{{\"type\":{event},\"object\":{object}}}\n"));
        }
        // Events carry their objects whole.
        let strip = !self.get.output_watch_events
            && matches!(self.format, Format::Json | Format::Yaml | Format::Kyaml)
            && !self.get.print.show_managed_fields;
        let object = if strip {
            printer::without_managed_fields(object.clone())
        } else {
            object.clone()
        };
        let wrapped = self.get.output_watch_events && !matches!(self.format, Format::Name);
        let object = if wrapped {
            serde_json::json!({"type": event, "object": object})
        } else {
            object
        };
        let separate = self.headed && matches!(self.format, Format::Yaml);
        self.headed = true;
        if separate {
            print("---\n")?;
        }
        self.format.print(&object, Some(&self.wanted.resource))
    }
}
