//! `config view`: the merged configuration, secrets hidden.

use std::path::Path;

use base64::Engine as _;
use clap::Args;
use serde_json::Value;

use crate::args::Print;
use crate::client::kubeconfig::{self, Config};
use crate::client::shape;
use crate::context::{Context, print};
use crate::error::Result;
use crate::printer::{Format, json};

#[derive(Args, Debug)]
pub(crate) struct View {
    #[command(flatten)]
    flags: Print,
    /// Put the contents of files in place of their names
    #[arg(long)]
    flatten: bool,
    /// Merge the files that KUBECONFIG lists
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true")]
    merge: String,
    /// Only what the current context uses
    #[arg(long)]
    minify: bool,
    /// Show secrets
    #[arg(long)]
    raw: bool,
}

impl View {
    pub(super) fn run(mut self, context: &Context) -> Result<()> {
        if self.flags.output.is_none() && self.flags.template.is_none() {
            self.flags.output = Some("yaml".into());
        }
        let format = Format::parse(&self.flags, false)?;
        if self.merge == "false" && context.global.kubeconfig.is_none() {
            return Err("if merge==false a precise file must be specified".into());
        }
        let mut config = context.config()?.clone();
        if let Some(name) = &context.global.context {
            config.current_context.clone_from(name);
        }
        if self.minify {
            minify(&mut config)?;
        }
        if self.flatten {
            // What is to stand alone can't do without its secrets.
            flatten(&mut config)?;
        } else if !self.raw {
            hide(&mut config);
        }
        let value = config.to_value();
        match format {
            Format::Json => print(&(ordered(&value) + "\n")),
            other => other.print(&value, None),
        }
    }
}

fn minify(config: &mut Config) -> Result<()> {
    if config.current_context.is_empty() {
        return Err("current-context must exist in order to minify".into());
    }
    let current = config.current_context.clone();
    let Some(body) = config.get("contexts", &current).cloned() else {
        return Err(format!("cannot locate context {current}").into());
    };
    for (section, field) in [("clusters", "cluster"), ("users", "user")] {
        let name = body[field].as_str().filter(|name| !name.is_empty());
        if let Some(name) = name.filter(|name| config.get(section, name).is_none()) {
            return Err(format!("cannot locate {field} {name}").into());
        }
    }
    config.retain(|section, name| match section {
        "contexts" => name == current,
        "clusters" => body["cluster"] == name,
        _ => body["user"] == name,
    });
    Ok(())
}

fn flatten(config: &mut Config) -> Result<()> {
    let mut result = Ok(());
    for (section, fields) in [
        ("users", &["client-certificate", "client-key"][..]),
        ("clusters", &["certificate-authority"][..]),
    ] {
        config.each_mut(section, |body, origin| {
            if result.is_ok() {
                result = embed(section, body, fields, origin);
            }
        });
    }
    result
}

/// Puts the contents of files into a thing, in place of their names.
fn embed(section: &str, body: &mut Value, fields: &[&str], origin: &Path) -> Result<()> {
    let mut resolved = body.clone();
    kubeconfig::absolute(section, &mut resolved, origin);
    for field in fields {
        let Some(path) = resolved[*field].as_str().filter(|p| !p.is_empty()) else {
            continue;
        };
        let data = format!("{field}-data");
        if body[&data].as_str().is_some_and(|held| !held.is_empty()) {
            return Err("cannot have values for both path and contents".into());
        }
        let bytes = std::fs::read(path)
            .map_err(|error| format!("open {path}: {}", crate::error::os(&error)))?;
        body[&data] = base64::engine::general_purpose::STANDARD
            .encode(bytes)
            .into();
        body[*field] = Value::Null;
    }
    Ok(())
}

/// Puts words in place of secrets.
fn hide(config: &mut Config) {
    let data = |body: &mut Value, fields: &[&str], words: &str| {
        for field in fields {
            if body[*field].as_str().is_some_and(|text| !text.is_empty()) {
                body[*field] = words.into();
            }
        }
    };
    config.each_mut("clusters", |body, _| {
        data(body, &["certificate-authority-data"], "DATA+OMITTED");
    });
    config.each_mut("users", |body, _| {
        data(
            body,
            &["client-certificate-data", "client-key-data"],
            "DATA+OMITTED",
        );
        data(body, &["token", "password"], "REDACTED");
    });
}

/// JSON with the fields in the order of Go's structs.
fn ordered(value: &Value) -> String {
    const TOP: [&str; 6] = [
        "kind",
        "apiVersion",
        "clusters",
        "users",
        "contexts",
        "current-context",
    ];
    let mut out = "{\n".to_owned();
    let mut parts = Vec::new();
    for field in TOP {
        let body = match field {
            "clusters" => named(&value[field], "cluster", shape::fields(field)),
            "users" => named(&value[field], "user", shape::fields(field)),
            "contexts" => named(&value[field], "context", shape::fields(field)),
            _ => json::compact(&value[field]),
        };
        parts.push(format!("    \"{field}\": {body}"));
    }
    out.push_str(&parts.join(",\n"));
    out.push_str("\n}");
    out
}

fn named(list: &Value, field: &str, order: &[&str]) -> String {
    let Some(list) = list.as_array() else {
        return "null".to_owned();
    };
    let items: Vec<String> = list
        .iter()
        .map(|item| {
            let name = json::compact(&item["name"]);
            let body = object(&item[field], order, 3);
            format!(
                "        {{\n            \"name\": {name},\n            \"{field}\": {body}\n        }}"
            )
        })
        .collect();
    format!("[\n{}\n    ]", items.join(",\n"))
}

/// An object with its fields in that order, at some depth of indentation.
fn object(value: &Value, order: &[&str], depth: usize) -> String {
    let outer = "    ".repeat(depth);
    let inner = "    ".repeat(depth + 1);
    let held = order.iter().filter_map(|field| {
        let value = value.get(field)?;
        let text = match *field {
            "exec" => object(value, &shape::PLUGIN, depth + 1),
            _ => json::pretty(value)
                .trim_end()
                .replace('\n', &format!("\n{inner}")),
        };
        Some(format!("{inner}\"{field}\": {text}"))
    });
    let fields: Vec<String> = held.collect();
    if fields.is_empty() {
        return "{}".to_owned();
    }
    format!("{{\n{}\n{outer}}}", fields.join(",\n"))
}
