//! `config view`: the merged configuration, secrets hidden.

use base64::Engine as _;
use clap::Args;
use serde_json::{Value, json};

use crate::args::Print;
use crate::client::kubeconfig::Config;
use crate::client::tls;
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
            flatten(&mut config)?;
        }
        if !self.raw {
            hide(&mut config);
        }
        let value = config.to_value();
        match format {
            Format::Json => print(&(ordered(&value) + "\n")),
            other => print(&other.object(&value, None)?),
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
    config.retain(|section, name| match section {
        "contexts" => name == current,
        "clusters" => body["cluster"] == name,
        _ => body["user"] == name,
    });
    Ok(())
}

fn flatten(config: &mut Config) -> Result<()> {
    let mut problem = None;
    for (section, fields) in [
        ("clusters", &["certificate-authority"][..]),
        ("users", &["client-certificate", "client-key"][..]),
    ] {
        config.each_mut(section, |body| {
            for field in fields {
                if body[*field].is_null() {
                    continue;
                }
                match tls::credential(body, field) {
                    Ok(Some(bytes)) => {
                        body[format!("{field}-data")] = base64::engine::general_purpose::STANDARD
                            .encode(bytes)
                            .into();
                    }
                    Ok(None) => {}
                    Err(error) => problem = Some(error),
                }
                if let Some(fields) = body.as_object_mut() {
                    fields.remove(*field);
                }
            }
        });
    }
    problem.map_or(Ok(()), Err)
}

/// Puts words in place of secrets.
fn hide(config: &mut Config) {
    let data = |body: &mut Value, fields: &[&str], words: &str| {
        for field in fields {
            if !body[*field].is_null() {
                body[*field] = words.into();
            }
        }
    };
    config.each_mut("clusters", |body| {
        data(body, &["certificate-authority-data"], "DATA+OMITTED");
        drop_nulls(body);
    });
    config.each_mut("users", |body| {
        data(
            body,
            &["client-certificate-data", "client-key-data"],
            "DATA+OMITTED",
        );
        data(body, &["token", "password"], "REDACTED");
        drop_nulls(body);
    });
}

fn drop_nulls(body: &mut Value) {
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
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
    const CLUSTER: [&str; 8] = [
        "server",
        "tls-server-name",
        "insecure-skip-tls-verify",
        "certificate-authority",
        "certificate-authority-data",
        "proxy-url",
        "disable-compression",
        "extensions",
    ];
    let mut out = "{\n".to_owned();
    let mut parts = Vec::new();
    for field in TOP {
        let body = match field {
            "clusters" => named(&value[field], "cluster", &CLUSTER),
            "users" => named(&value[field], "user", &[]),
            "contexts" => named(&value[field], "context", &["cluster", "user", "namespace"]),
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
            let body = item[field].as_object().cloned().unwrap_or_default();
            let mut keys: Vec<&String> = body.keys().collect();
            keys.sort_by_key(|k| order.iter().position(|o| o == k).unwrap_or(usize::MAX));
            let fields: Vec<String> = keys
                .iter()
                .map(|k| {
                    let inner = json::pretty(&body[k.as_str()]);
                    format!("                \"{k}\": {}", inner.trim_end().replace('\n', "\n                "))
                })
                .collect();
            let body = if fields.is_empty() { "{}".to_owned() } else { format!("{{\n{}\n            }}", fields.join(",\n")) };
            format!("        {{\n            \"name\": {},\n            \"{field}\": {body}\n        }}", json::compact(&json!(item["name"])))
        })
        .collect();
    format!("[\n{}\n    ]", items.join(",\n"))
}
