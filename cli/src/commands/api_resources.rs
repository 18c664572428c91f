//! `api-resources`: the kinds that the server serves.

use clap::Args;
use serde_json::{Value, json};

use crate::client::discovery::Resource;
use crate::context::{Context, line, print};
use crate::error::Result;
use crate::printer::table::Layout;
use crate::printer::{json, kyaml};

/// Print the supported API resources on the server.
#[derive(Args, Debug)]
pub(crate) struct ApiResources {
    /// Nothing
    words: Vec<String>,
    /// Only those of this group
    #[arg(long)]
    api_group: Option<String>,
    /// Use the cache, if it is young enough
    #[arg(long)]
    cached: bool,
    /// Only those in all of these categories
    #[arg(long, value_delimiter = ',')]
    categories: Vec<String>,
    /// Only those that live in namespaces, or only those that don't
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    namespaced: Option<String>,
    /// No line with headings
    #[arg(long)]
    no_headers: bool,
    /// wide or name
    #[arg(long, short = 'o')]
    output: Option<String>,
    /// name or kind
    #[arg(long)]
    sort_by: Option<String>,
    /// Only those with all of these verbs
    #[arg(long, value_delimiter = ',')]
    verbs: Vec<String>,
}

/// The kinds as one object, as discovery words them.
fn list(found: &[&Resource]) -> Value {
    let resources = found.iter().map(|kind| {
        let mut entry = json!({
            "kind": kind.kind, "name": kind.plural, "namespaced": kind.namespaced,
            "singularName": kind.singular, "verbs": kind.verbs, "version": kind.version,
        });
        if !kind.group.is_empty() {
            entry["group"] = kind.group.clone().into();
        }
        if !kind.short_names.is_empty() {
            entry["shortNames"] = kind.short_names.clone().into();
        }
        if !kind.categories.is_empty() {
            entry["categories"] = kind.categories.clone().into();
        }
        entry
    });
    let resources: Vec<Value> = resources.collect();
    json!({"apiVersion": "v1", "groupVersion": "", "kind": "APIResourceList", "resources": resources})
}

impl ApiResources {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        if !self.words.is_empty() {
            return Err(format!(
                "unexpected arguments: [{}]\nSee 'ctl api-resources -h' for help and examples",
                self.words.join(" ")
            )
            .into());
        }
        let output = self.output.as_deref().unwrap_or_default();
        if !matches!(output, "" | "wide" | "name" | "json" | "yaml" | "kyaml") {
            return Err(format!(
                "unable to match a printer suitable for the output format {output:?}, allowed formats are: json,kyaml,name,wide,yaml"
            )
            .into());
        }
        let by = self.sort_by.as_deref().unwrap_or_default();
        if !matches!(by, "" | "name" | "kind") {
            return Err("--sort-by accepts only name or kind".into());
        }
        let discovery = if self.cached {
            context.discovery().await?
        } else {
            context.fresh_discovery().await?
        };
        let mut found: Vec<&Resource> = Vec::new();
        for resource in &discovery.resources {
            let first = discovery
                .groups
                .iter()
                .find(|(g, _)| *g == resource.group)
                .and_then(|(_, versions)| versions.first());
            let preferred = first == Some(&resource.version)
                || !found
                    .iter()
                    .chain(&discovery.resources.iter().collect::<Vec<_>>())
                    .any(|r| {
                        r.group == resource.group
                            && r.plural == resource.plural
                            && Some(&r.version) == first
                    });
            if preferred && self.wants(resource) {
                found.push(resource);
            }
        }
        self.sort(&mut found);
        match output {
            "name" => found.iter().try_for_each(|r| line(&r.qualified())),
            "json" => print(&json::pretty(&list(&found))),
            "yaml" => print(&api::wire::yaml::write(&list(&found))),
            "kyaml" => print(&kyaml::write(&list(&found))),
            _ => self.table(&found, output == "wide"),
        }
    }

    fn wants(&self, resource: &Resource) -> bool {
        let group = self.api_group.as_ref().is_none_or(|g| *g == resource.group);
        let scope = self
            .namespaced
            .as_ref()
            .is_none_or(|n| (n == "true") == resource.namespaced);
        let verbs = self.verbs.iter().all(|v| resource.verbs.contains(v));
        let categories = self
            .categories
            .iter()
            .all(|c| resource.categories.contains(c));
        group && scope && verbs && categories && !resource.verbs.is_empty()
    }

    fn sort(&self, found: &mut [&Resource]) {
        match self.sort_by.as_deref() {
            Some("name") => found.sort_by(|a, b| a.plural.cmp(&b.plural)),
            Some("kind") => found.sort_by(|a, b| a.kind.cmp(&b.kind)),
            _ => found.sort_by(|a, b| (&a.group, &a.plural).cmp(&(&b.group, &b.plural))),
        }
    }

    fn table(&self, found: &[&Resource], wide: bool) -> Result<()> {
        let mut layout = Layout::default();
        if !self.no_headers {
            let mut headings = vec!["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"];
            if wide {
                headings.extend(["VERBS", "CATEGORIES"]);
            }
            layout.push(headings.into_iter().map(str::to_owned).collect());
        }
        for resource in found {
            let mut row = vec![
                resource.plural.clone(),
                resource.short_names.join(","),
                resource.api_version(),
                resource.namespaced.to_string(),
                resource.kind.clone(),
            ];
            if wide {
                row.extend([resource.verbs.join(","), resource.categories.join(",")]);
            }
            layout.push(row);
        }
        print(&layout.flush())
    }
}
