//! One rule of a role: what it covers, and how it is written in messages.

use std::fmt::Write as _;

use serde_json::Value;

use crate::auth::Attributes;

/// The word that stands for all.
const ALL: &str = "*";

/// A `PolicyRule`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::auth) struct Rule {
    pub(in crate::auth) groups: Vec<String>,
    pub(in crate::auth) resources: Vec<String>,
    pub(in crate::auth) names: Vec<String>,
    pub(in crate::auth) urls: Vec<String>,
    pub(in crate::auth) verbs: Vec<String>,
}

impl From<Rule> for api::review::Rule {
    fn from(rule: Rule) -> Self {
        Self {
            verbs: rule.verbs,
            groups: rule.groups,
            resources: rule.resources,
            names: rule.names,
            urls: rule.urls,
        }
    }
}

fn has(list: &[String], item: &str) -> bool {
    list.iter().any(|i| i == ALL || i == item)
}

/// Whether a rule's resources cover `RESOURCE` or `RESOURCE/SUBRESOURCE`, also through `*/SUBRESOURCE`.
fn has_resource(resources: &[String], combined: &str, subresource: &str) -> bool {
    resources.iter().any(|r| {
        r == ALL
            || r == combined
            || (!subresource.is_empty() && r.strip_prefix("*/") == Some(subresource))
    })
}

fn has_url(urls: &[String], path: &str) -> bool {
    urls.iter().any(|url| {
        url == path
            || url
                .strip_suffix('*')
                .is_some_and(|prefix| path.starts_with(prefix))
    })
}

impl Rule {
    /// The rules of a `rules` field.
    pub(in crate::auth) fn list(rules: &Value) -> Vec<Self> {
        let strings = |value: &Value| -> Vec<String> {
            let items = value.as_array().into_iter().flatten();
            items
                .filter_map(|v| v.as_str().map(str::to_owned))
                .collect()
        };
        let rules = rules.as_array().into_iter().flatten();
        rules
            .map(|rule| Self {
                groups: strings(&rule["apiGroups"]),
                resources: strings(&rule["resources"]),
                names: strings(&rule["resourceNames"]),
                urls: strings(&rule["nonResourceURLs"]),
                verbs: strings(&rule["verbs"]),
            })
            .collect()
    }

    /// Whether it allows a request; `combined` is the request's resource with its subresource.
    pub(super) fn allows(&self, attributes: &Attributes<'_>, combined: &str) -> bool {
        if !has(&self.verbs, attributes.verb) {
            return false;
        }
        if !attributes.is_resource() {
            return has_url(&self.urls, attributes.path);
        }
        has(&self.groups, attributes.group)
            && has_resource(&self.resources, combined, attributes.subresource)
            && (self.names.is_empty() || self.names.iter().any(|n| n == attributes.name))
    }

    /// Whether it covers one of [`Rule::atoms`].
    pub(super) fn covers(&self, atom: &Self) -> bool {
        let verbs = atom.verbs.iter().all(|v| has(&self.verbs, v));
        if !atom.urls.is_empty() {
            return verbs && atom.urls.iter().all(|url| has_url(&self.urls, url));
        }
        let names = self.names.is_empty()
            || (!atom.names.is_empty() && atom.names.iter().all(|n| self.names.contains(n)));
        verbs
            && names
            && atom.groups.iter().all(|g| has(&self.groups, g))
            && atom.resources.iter().all(|r| {
                let subresource = r.split_once('/').map_or("", |(_, sub)| sub);
                has_resource(&self.resources, r, subresource)
            })
    }

    /// The rule as rules with one verb, one group, one resource and at most one name, or one URL.
    pub(super) fn atoms(&self) -> Vec<Self> {
        let mut atoms = Vec::new();
        let no_name = [String::new()];
        let names = match self.names.as_slice() {
            [] => &no_name[..],
            names => names,
        };
        for verb in &self.verbs {
            let verbs = vec![verb.clone()];
            for url in &self.urls {
                atoms.push(Self {
                    urls: vec![url.clone()],
                    verbs: verbs.clone(),
                    ..Self::default()
                });
            }
            for group in &self.groups {
                for resource in &self.resources {
                    atoms.extend(names.iter().map(|name| Self {
                        groups: vec![group.clone()],
                        resources: vec![resource.clone()],
                        names: match name.as_str() {
                            "" => Vec::new(),
                            name => vec![name.to_owned()],
                        },
                        urls: Vec::new(),
                        verbs: verbs.clone(),
                    }));
                }
            }
        }
        atoms
    }

    /// How Kubernetes writes it in a message: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`.
    pub(super) fn compact(&self) -> String {
        let mut text = String::from("{");
        for (label, list) in [
            ("APIGroups", &self.groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.urls),
            ("ResourceNames", &self.names),
            ("Verbs", &self.verbs),
        ] {
            if list.is_empty() {
                continue;
            }
            if text.len() > 1 {
                text.push_str(", ");
            }
            write!(text, "{label}:{}", quoted(list)).expect("a String takes all writes");
        }
        text.push('}');
        text
    }
}

/// A list as Go's `%q` prints it.
pub(in crate::auth) fn quoted(list: &[String]) -> String {
    let items: Vec<String> = list.iter().map(|item| format!("{item:?}")).collect();
    format!("[{}]", items.join(" "))
}
