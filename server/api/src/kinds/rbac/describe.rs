//! The description of a role: its rules, one a resource, with all that may be done to it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::kinds::description::Description;
use crate::kinds::read::{items, text, texts};

/// A rule for one resource or one path.
#[derive(Clone, Debug, Default)]
struct Line<'a> {
    resource: Option<(&'a str, &'a str)>,
    name: Option<&'a str>,
    url: Option<&'a str>,
    verbs: Vec<&'a str>,
}

pub(super) fn describe(role: &Value) -> String {
    let metadata = &role["metadata"];
    let mut out = Description::default();
    out.field(0, "Name", text(metadata, "name"));
    out.labels("Labels", metadata, "labels");
    out.annotations("Annotations", metadata);
    out.line(0, "PolicyRule:");
    let heads = "Resources\tNon-Resource URLs\tResource Names\tVerbs";
    out.line(1, heads);
    out.line(1, "---------\t-----------------\t--------------\t-----");
    for row in rows(items(role, "rules")) {
        out.line(1, &row.join("\t"));
    }
    out.finish()
}

/// Rules as kubectl lists them: resource, path, name and verbs of each, sorted.
pub fn rows(rules: &[Value]) -> Vec<[String; 4]> {
    let mut lines = lines(rules);
    lines.sort_by_cached_key(Line::order);
    let rows = lines.into_iter().map(|line| {
        let verbs = format!("[{}]", line.verbs.join(" "));
        [line.resource(), list(line.url), list(line.name), verbs]
    });
    rows.collect()
}

/// The rules taken apart; verbs of one resource come together again, those of paths do not.
fn lines(rules: &[Value]) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut resources: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for rule in rules {
        let verbs = texts(rule, "verbs");
        let names = texts(rule, "resourceNames");
        let names: Vec<Option<&str>> = if names.is_empty() {
            vec![None]
        } else {
            names.into_iter().map(Some).collect()
        };
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                for name in &names {
                    let known = resources.entry((group, resource, *name)).or_default();
                    let new = verbs.iter().filter(|v| !known.contains(v));
                    let new: Vec<&str> = new.copied().collect();
                    known.extend(new);
                }
            }
        }
        for url in texts(rule, "nonResourceURLs") {
            lines.extend(verbs.iter().map(|verb| Line {
                url: Some(url),
                verbs: vec![verb],
                ..Line::default()
            }));
        }
    }
    let resources = resources.into_iter();
    lines.extend(resources.map(|((group, resource, name), verbs)| Line {
        resource: Some((group, resource)),
        name,
        url: None,
        verbs,
    }));
    lines
}

impl Line<'_> {
    /// `pods/log`, `deployments.apps/scale`.
    fn resource(&self) -> String {
        let Some((group, resource)) = self.resource else {
            return String::new();
        };
        let (kind, part) = match resource.split_once('/') {
            Some((kind, part)) => (kind, format!("/{part}")),
            None => (resource, String::new()),
        };
        let dot = if group.is_empty() { "" } else { "." };
        format!("{kind}{dot}{group}{part}")
    }

    /// kubectl orders rules by the text form of its Go type.
    fn order(&self) -> String {
        let verbs = self.verbs.join(" ");
        let group = list(self.resource.map(|(group, _)| group));
        let resource = list(self.resource.map(|(_, resource)| resource));
        let (name, url) = (list(self.name), list(self.url));
        format!(
            "Verbs:[{verbs}],APIGroups:{group},Resources:{resource},ResourceNames:{name},NonResourceURLs:{url},"
        )
    }
}

fn list(value: Option<&str>) -> String {
    format!("[{}]", value.unwrap_or_default())
}
