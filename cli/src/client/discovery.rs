//! Which kinds the server knows, and which of them a word of the user means.
//!
//! Answers are kept below `~/.kube/cache/discovery/<host>_<port>/` in kubectl's own layout, so that
//! both programs use one cache: `servergroups.json`, and `<group>/<version>/serverresources.json`.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{Client, Request};
use crate::error::Result;

/// How long answers are good for.
const LIFETIME: Duration = Duration::from_secs(6 * 60 * 60);

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// A kind as the server serves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resource {
    /// The API group, empty for the core group.
    pub(crate) group: String,
    /// The version.
    pub(crate) version: String,
    /// The name in URLs.
    pub(crate) plural: String,
    /// The name of one.
    pub(crate) singular: String,
    /// The kind.
    pub(crate) kind: String,
    /// Whether objects live in a namespace.
    pub(crate) namespaced: bool,
    /// What may be asked.
    pub(crate) verbs: Vec<String>,
    /// Abbreviations.
    pub(crate) short_names: Vec<String>,
    /// Names that stand for several kinds.
    pub(crate) categories: Vec<String>,
}

impl Resource {
    /// `v1` or `group/version`.
    pub(crate) fn api_version(&self) -> String {
        group_version(&self.group, &self.version)
    }

    /// `plural` or `plural.group`.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.clone()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// `kind` or `kind.group`, in lower case: the prefix of names in output.
    pub(crate) fn prefix(&self) -> String {
        let kind = self.kind.to_lowercase();
        if self.group.is_empty() {
            kind
        } else {
            format!("{kind}.{}", self.group)
        }
    }

    /// The path of the collection, in a namespace or in all of them.
    pub(crate) fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        match namespace.filter(|n| self.namespaced && !n.is_empty()) {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{}", self.plural),
            None => format!("{root}/{}", self.plural),
        }
    }

    /// The path of one object.
    pub(crate) fn object_path(&self, namespace: &str, name: &str) -> String {
        let name = percent_encoding::utf8_percent_encode(name, PATH_SEGMENT);
        format!("{}/{name}", self.path(Some(namespace)))
    }
}

/// What must be escaped in a segment of a path.
const PATH_SEGMENT: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'?')
    .add(b'<')
    .add(b'>');

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

/// All that the server serves, in its order; a group's preferred version comes first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Discovery {
    /// Kinds, without subresources.
    pub(crate) resources: Vec<Resource>,
    /// Each group with its versions, in order.
    pub(crate) groups: Vec<(String, Vec<String>)>,
    /// Subresources as `plural/name` with the group and version of the parent.
    pub(crate) subresources: Vec<(String, String, String)>,
    /// Whether this came from the server and not from the cache.
    pub(crate) fresh: bool,
}

/// The folder of the cache for a server.
pub(crate) fn cache_dir(root: Option<&str>, client: &Client) -> PathBuf {
    let root = root
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("KUBECACHEDIR").map(PathBuf::from))
        .unwrap_or_else(|| super::kubeconfig::home().join(".kube").join("cache"));
    let url = client.base();
    let host = match url.port() {
        Some(port) => format!(
            "{}:{port}{}",
            url.host_str().unwrap_or_default(),
            url.path().trim_end_matches('/')
        ),
        None => format!(
            "{}{}",
            url.host_str().unwrap_or_default(),
            url.path().trim_end_matches('/')
        ),
    };
    let safe: String = host
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '/') {
                c
            } else {
                '_'
            }
        })
        .collect();
    root.join("discovery").join(safe)
}

/// Reads the cache, or asks the server when the cache is old, missing or not wanted.
pub(crate) async fn load(client: &Client, cache: &Path, fresh: bool) -> Result<Discovery> {
    if !fresh && let Some(found) = read_cache(cache) {
        return Ok(found);
    }
    let lists = fetch(client).await?;
    write_cache(cache, &lists);
    let mut discovery = assemble(&lists);
    discovery.fresh = true;
    Ok(discovery)
}

/// `APIGroupList` and the `APIResourceList` of each version, in order.
struct Lists {
    groups: Value,
    resources: Vec<Value>,
}

async fn fetch(client: &Client) -> Result<Lists> {
    let mut groups = Vec::new();
    let mut resources = Vec::new();
    for root in ["/api", "/apis"] {
        let answer = match client.json(Request::get(root).accept(AGGREGATED)).await {
            Ok(answer) => answer,
            // A server may have one of the two only.
            Err(error) if error.is_not_found() && root == "/apis" => continue,
            Err(error) => return Err(error),
        };
        match answer["kind"].as_str() {
            Some("APIGroupDiscoveryList") => aggregated(&answer, &mut groups, &mut resources),
            Some("APIVersions") => {
                let versions: Vec<Value> = strings(&answer["versions"])
                    .iter()
                    .map(|v| json!({"groupVersion": v, "version": v}))
                    .collect();
                groups.push(
                    json!({"name": "", "versions": versions, "preferredVersion": versions.first()}),
                );
            }
            _ => groups.extend(answer["groups"].as_array().cloned().unwrap_or_default()),
        }
    }
    if resources.is_empty() {
        resources = one_by_one(client, &groups).await?;
    }
    Ok(Lists {
        groups: json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}),
        resources,
    })
}

/// The old form: a request for each version of each group.
async fn one_by_one(client: &Client, groups: &[Value]) -> Result<Vec<Value>> {
    let mut lists = Vec::new();
    for group in groups {
        for version in group["versions"].as_array().into_iter().flatten() {
            let name = version["groupVersion"].as_str().unwrap_or_default();
            let root = if name.contains('/') { "apis" } else { "api" };
            match client.json(Request::get(format!("/{root}/{name}"))).await {
                Ok(list) => lists.push(list),
                // An extension server that is down must not hide the others.
                Err(error) if !error.reason().is_empty() => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(lists)
}

/// Turns the aggregated form into the two old ones.
fn aggregated(answer: &Value, groups: &mut Vec<Value>, lists: &mut Vec<Value>) {
    for group in answer["items"].as_array().into_iter().flatten() {
        let name = group["metadata"]["name"].as_str().unwrap_or_default();
        let mut versions = Vec::new();
        for version in group["versions"].as_array().into_iter().flatten() {
            let number = version["version"].as_str().unwrap_or_default();
            let both = group_version(name, number);
            if version["freshness"] == "Stale" {
                continue;
            }
            versions.push(json!({"groupVersion": both, "version": number}));
            let resources: Vec<Value> = version["resources"]
                .as_array()
                .into_iter()
                .flatten()
                .flat_map(resource_entries)
                .collect();
            lists.push(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": both, "resources": resources}));
        }
        groups.push(
            json!({"name": name, "versions": versions, "preferredVersion": versions.first()}),
        );
    }
}

fn resource_entries(from: &Value) -> Vec<Value> {
    let plural = from["resource"].as_str().unwrap_or_default();
    let namespaced = from["scope"] == "Namespaced";
    let entry = |name: String, kind: &Value, verbs: &Value| {
        json!({"name": name, "singularName": from["singularResource"], "namespaced": namespaced,
            "kind": kind["kind"], "group": kind["group"], "version": kind["version"], "verbs": verbs})
    };
    let mut main = entry(plural.to_owned(), &from["responseKind"], &from["verbs"]);
    for (field, value) in [
        ("shortNames", &from["shortNames"]),
        ("categories", &from["categories"]),
    ] {
        if value.is_array() {
            main[field] = value.clone();
        }
    }
    let mut entries = vec![main];
    for sub in from["subresources"].as_array().into_iter().flatten() {
        let name = sub["subresource"].as_str().unwrap_or_default();
        entries.push(entry(
            format!("{plural}/{name}"),
            &sub["responseKind"],
            &sub["verbs"],
        ));
    }
    entries
}

fn assemble(lists: &Lists) -> Discovery {
    let mut discovery = Discovery::default();
    for group in lists.groups["groups"].as_array().into_iter().flatten() {
        let name = group["name"].as_str().unwrap_or_default();
        let versions: Vec<String> = group["versions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|v| v["version"].as_str())
            .map(str::to_owned)
            .collect();
        for version in &versions {
            let wanted = group_version(name, version);
            let list = lists
                .resources
                .iter()
                .find(|l| l["groupVersion"] == wanted.as_str());
            for entry in list
                .and_then(|l| l["resources"].as_array())
                .into_iter()
                .flatten()
            {
                add_entry(&mut discovery, name, version, entry);
            }
        }
        discovery.groups.push((name.to_owned(), versions));
    }
    discovery
}

fn add_entry(discovery: &mut Discovery, group: &str, version: &str, entry: &Value) {
    let name = entry["name"].as_str().unwrap_or_default();
    if name.contains('/') {
        discovery
            .subresources
            .push((group.to_owned(), version.to_owned(), name.to_owned()));
        return;
    }
    let kind = entry["kind"].as_str().unwrap_or_default();
    let singular = entry["singularName"].as_str().filter(|s| !s.is_empty());
    discovery.resources.push(Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        plural: name.to_owned(),
        singular: singular.map_or_else(|| kind.to_lowercase(), str::to_owned),
        kind: kind.to_owned(),
        namespaced: entry["namespaced"].as_bool().unwrap_or(false),
        verbs: strings(&entry["verbs"]),
        short_names: strings(&entry["shortNames"]),
        categories: strings(&entry["categories"]),
    });
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn read_cache(dir: &Path) -> Option<Discovery> {
    let groups = read_fresh(&dir.join("servergroups.json"))?;
    let mut resources = Vec::new();
    for group in groups["groups"].as_array()? {
        for version in group["versions"].as_array()? {
            resources.push(read_fresh(
                &dir.join(version["groupVersion"].as_str()?)
                    .join("serverresources.json"),
            )?);
        }
    }
    Some(assemble(&Lists { groups, resources }))
}

fn read_fresh(path: &Path) -> Option<Value> {
    let modified = std::fs::metadata(path).ok()?.modified().ok()?;
    if SystemTime::now()
        .duration_since(modified)
        .unwrap_or_default()
        > LIFETIME
    {
        return None;
    }
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Writes the cache. A cache that can't be written costs time and nothing else, so errors are dropped.
fn write_cache(dir: &Path, lists: &Lists) {
    for list in &lists.resources {
        if let Some(name) = list["groupVersion"].as_str() {
            let _ = write_file(&dir.join(name).join("serverresources.json"), list);
        }
    }
    let _ = write_file(&dir.join("servergroups.json"), &lists.groups);
}

fn write_file(path: &Path, value: &Value) -> std::io::Result<()> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    std::fs::create_dir_all(folder)?;
    let temporary = folder.join(format!(".{}.tmp", std::process::id()));
    std::fs::write(&temporary, value.to_string())?;
    std::fs::rename(&temporary, path)
}

impl Discovery {
    /// The kind that a word means: plural, singular, short name or kind, alone or followed by
    /// `.group` or `.version.group`; a group may be cut short.
    pub(crate) fn find(&self, word: &str) -> Option<&Resource> {
        let (name, rest) = word
            .split_once('.')
            .map_or((word, None), |(name, rest)| (name, Some(rest)));
        let name = name.to_lowercase();
        let Some(rest) = rest else {
            return self.named(&name, |_| true);
        };
        if let Some((version, group)) = rest.split_once('.')
            && let Some(found) = self.named(&name, |r| r.version == version && r.group == group)
        {
            return Some(found);
        }
        if let Some(found) = self.named(&name, |r| r.version == rest && r.group.is_empty()) {
            return Some(found);
        }
        self.named(&name, |r| r.group == rest)
            .or_else(|| self.named(&name, |r| r.group.starts_with(rest)))
    }

    fn named(&self, name: &str, fits: impl Fn(&Resource) -> bool) -> Option<&Resource> {
        let search = |matches: &dyn Fn(&Resource) -> bool| {
            self.resources.iter().find(|r| fits(r) && matches(r))
        };
        search(&|r| r.short_names.iter().any(|s| s == name))
            .or_else(|| search(&|r| r.plural == name || r.singular == name))
            .or_else(|| search(&|r| r.kind.to_lowercase() == name))
    }

    /// The kind of an object.
    pub(crate) fn of_object(&self, object: &Value) -> Option<&Resource> {
        let version = object["apiVersion"].as_str()?;
        let kind = object["kind"].as_str()?;
        self.resources
            .iter()
            .find(|r| r.kind == kind && r.api_version() == version)
    }

    /// The kinds of a category, each once, in order.
    pub(crate) fn category(&self, name: &str) -> Vec<&Resource> {
        let mut found: Vec<&Resource> = Vec::new();
        for resource in self
            .resources
            .iter()
            .filter(|r| r.categories.iter().any(|c| c == name))
        {
            if !found
                .iter()
                .any(|f| f.group == resource.group && f.plural == resource.plural)
            {
                found.push(resource);
            }
        }
        found
    }
}
