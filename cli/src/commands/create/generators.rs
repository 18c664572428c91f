//! Objects made from flags.

use std::path::Path;

use base64::Engine as _;
use clap::Args;
use serde_json::{Value, json};

use super::policy::pairs;
use super::{Common, hash};
use crate::client::tls::pair;
use crate::context::{Context, note};
use crate::error::{Error, Result};

/// The one name that a generator takes.
pub(super) fn one<'a>(words: &'a [String], command: &str) -> Result<&'a str> {
    match words {
        [name] => Ok(name),
        _ => Err(format!("exactly one NAME is required, got {}\nSee 'ctl create {command} -h' for help and examples", words.len()).into()),
    }
}

/// A kind that needs nothing but a name.
#[derive(Args, Debug)]
pub(crate) struct Plain {
    /// The name
    words: Vec<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Plain {
    pub(super) fn object(&self, kind: &str) -> Result<Value> {
        let name = one(&self.words, &kind.to_lowercase())?;
        let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}});
        if kind == "Namespace" {
            object["spec"] = json!({});
            object["status"] = json!({});
        }
        Ok(object)
    }
}

/// Data from files and literals, for a config map or a generic secret.
#[derive(Args, Debug)]
pub(crate) struct ConfigMap {
    /// The name
    words: Vec<String>,
    /// Add a hash of the content to the name
    #[arg(long)]
    append_hash: bool,
    /// A file with lines key=value, repeatable
    #[arg(long, value_delimiter = ',')]
    from_env_file: Vec<String>,
    /// A file or folder, or key=file, repeatable
    #[arg(long, value_delimiter = ',')]
    from_file: Vec<String>,
    /// key=value, repeatable
    #[arg(long)]
    from_literal: Vec<String>,
    /// The type of a secret
    #[arg(long = "type")]
    kind: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl ConfigMap {
    pub(super) fn config_map(&self) -> Result<Value> {
        let name = one(&self.words, "configmap")?;
        let mut object =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        for (key, bytes) in self.data(Some(name))? {
            match String::from_utf8(bytes) {
                Ok(text) => object["data"][key] = text.into(),
                Err(error) => object["binaryData"][key] = encode(error.as_bytes()).into(),
            }
        }
        Ok(self.named(object))
    }

    pub(super) fn secret(&self) -> Result<Value> {
        let name = one(&self.words, "secret generic")?;
        let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
        for (key, bytes) in self.data(None)? {
            object["data"][key] = encode(&bytes).into();
        }
        if let Some(kind) = &self.kind {
            object["type"] = kind.clone().into();
        }
        Ok(self.named(object))
    }

    /// The object, with a hash in its name if that is wanted.
    fn named(&self, mut object: Value) -> Value {
        if self.append_hash {
            let name = format!("{}-{}", api::meta::name(&object), hash::of(&object));
            object["metadata"]["name"] = name.into();
        }
        object
    }

    /// The keys and their values; `map` is the name of the config map they are for, if they are.
    fn data(&self, map: Option<&str>) -> Result<Vec<(String, Vec<u8>)>> {
        let others = !self.from_file.is_empty() || !self.from_literal.is_empty();
        if others && !self.from_env_file.is_empty() {
            return Err("from-env-file cannot be combined with from-file or from-literal".into());
        }
        let mut data: Vec<(String, Vec<u8>)> = Vec::new();
        for source in &self.from_file {
            let (key, path) = match source.split_once('=') {
                Some((key, path)) => (Some(key.to_owned()), path),
                None => (None, source.as_str()),
            };
            read(key, path, &mut data)?;
        }
        for literal in &self.from_literal {
            let (key, value) = literal
                .split_once('=')
                .filter(|(key, _)| !key.is_empty())
                .ok_or_else(|| format!("invalid literal source {literal}, expected key=value"))?;
            let value = value.trim_matches(['"', '\'']);
            data.push((key.to_owned(), value.into()));
        }
        for path in &self.from_env_file {
            let text = std::fs::read_to_string(path)
                .map_err(|e| format!("open {path}: {}", crate::error::os(&e)))?;
            for line in text
                .lines()
                .map(str::trim_start)
                .filter(|l| !l.is_empty() && !l.starts_with('#'))
            {
                let (key, value) = line.split_once('=').map_or_else(
                    || (line, std::env::var(line).unwrap_or_default()),
                    |(k, v)| (k, v.to_owned()),
                );
                data.push((key.to_owned(), value.into()));
            }
        }
        for (at, (key, _)) in data.iter().enumerate() {
            let problems = api::meta::name::config_map_key(key);
            if !problems.is_empty() {
                return Err(match map {
                    Some(_) => format!(
                        "{key:?} is not a valid key name for a ConfigMap: {}",
                        problems.join(",")
                    ),
                    None => format!(
                        "{key:?} is not valid key name for a Secret {}",
                        problems.join(";")
                    ),
                }
                .into());
            }
            if data[..at].iter().any(|(other, _)| other == key) {
                return Err(match map {
                    Some(name) => format!(
                        "cannot add key {key:?}, another key by that name already exists in Data for ConfigMap {name:?}"
                    ),
                    None => format!("cannot add key {key}, another key by that name already exists"),
                }
                .into());
            }
        }
        Ok(data)
    }
}

fn read(key: Option<String>, path: &str, data: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let fail = |e: &std::io::Error| format!("error reading {path}: {}", crate::error::os(e));
    if Path::new(path).is_dir() {
        if key.is_some() {
            return Err("cannot give a key name for a directory path".into());
        }
        let mut files: Vec<_> = std::fs::read_dir(path)
            .map_err(|e| fail(&e))?
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.is_file())
            .collect();
        files.sort();
        for file in files {
            read(None, &file.display().to_string(), data)?;
        }
        return Ok(());
    }
    let name = Path::new(path)
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    data.push((
        key.unwrap_or(name),
        std::fs::read(path).map_err(|e| fail(&e))?,
    ));
    Ok(())
}

pub(super) fn encode(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A certificate and its key.
#[derive(Args, Debug)]
pub(crate) struct Tls {
    /// The name
    words: Vec<String>,
    /// The file of the certificate, PEM
    #[arg(long)]
    cert: Option<String>,
    /// The file of the key, PEM
    #[arg(long)]
    key: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Tls {
    pub(super) fn object(&self) -> Result<Value> {
        let name = one(&self.words, "secret tls")?;
        let (Some(cert), Some(key)) = (&self.cert, &self.key) else {
            return Err("key and cert must be specified".into());
        };
        let read = |path: &String| {
            std::fs::read(path).map_err(|e| {
                format!(
                    "Cannot read file {path}, open {path}: {}",
                    crate::error::os(&e)
                )
            })
        };
        let (cert, key) = (read(cert)?, read(key)?);
        pair::check(&cert, &key)?;
        Ok(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "kubernetes.io/tls",
            "data": {"tls.crt": encode(&cert), "tls.key": encode(&key)},
        }))
    }
}

/// A deployment of images.
#[derive(Args, Debug)]
pub(crate) struct Deployment {
    /// The name
    words: Vec<String>,
    /// The command, after --
    #[arg(last = true)]
    command: Vec<String>,
    /// An image, repeatable
    #[arg(long)]
    image: Vec<String>,
    /// The port that the container serves
    #[arg(long, default_value_t = -1)]
    port: i64,
    /// How many pods
    #[arg(long, short = 'r', default_value_t = 1)]
    replicas: i64,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Deployment {
    pub(super) fn object(&self) -> Result<Value> {
        if self.image.is_empty() {
            return Err("required flag(s) \"image\" not set".into());
        }
        let name = one(&self.words, "deployment")?;
        if self.image.len() > 1 && !self.command.is_empty() {
            return Err("cannot specify multiple --image options and command".into());
        }
        let containers: Vec<Value> = self
            .image
            .iter()
            .map(|image| self.container(image))
            .collect();
        let labels = json!({"app": name});
        Ok(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels},
            "spec": {
                "replicas": self.replicas, "selector": {"matchLabels": labels}, "strategy": {},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
            },
            "status": {},
        }))
    }

    fn container(&self, image: &str) -> Value {
        let base = image.rsplit('/').next().unwrap_or(image);
        let base = base
            .split(['@', ':'])
            .next()
            .unwrap_or(base)
            .replace('_', "-");
        let mut container = json!({"name": base, "image": image, "resources": {}});
        if self.port >= 0 {
            container["ports"] = json!([{"containerPort": self.port}]);
        }
        if !self.command.is_empty() {
            container["command"] = self.command.clone().into();
        }
        container
    }
}

/// What is usually done to resources.
const VERBS: [&str; 14] = [
    "*",
    "get",
    "delete",
    "list",
    "create",
    "update",
    "patch",
    "watch",
    "proxy",
    "deletecollection",
    "use",
    "bind",
    "escalate",
    "impersonate",
];

/// A role of one rule.
#[derive(Args, Debug)]
pub(crate) struct Role {
    /// The name
    words: Vec<String>,
    /// A verb, repeatable
    #[arg(long, value_delimiter = ',')]
    verb: Vec<String>,
    /// A resource, resource.group or resource/part, repeatable
    #[arg(long, value_delimiter = ',')]
    resource: Vec<String>,
    /// The name of an object, repeatable
    #[arg(long)]
    resource_name: Vec<String>,
    /// For cluster roles: the labels of the roles to join
    #[arg(long)]
    aggregation_rule: Option<String>,
    /// For cluster roles: a path, repeatable
    #[arg(long, value_delimiter = ',')]
    non_resource_url: Vec<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Role {
    pub(super) async fn object(&self, context: &Context, kind: &str) -> Result<Value> {
        let name = one(&self.words, &kind.to_lowercase())?;
        if let Some(labels) = self.aggregation_rule.as_deref().filter(|l| !l.is_empty()) {
            let lists = [
                &self.verb,
                &self.resource,
                &self.resource_name,
                &self.non_resource_url,
            ];
            if lists.iter().any(|list| !list.is_empty()) {
                return Err("aggregation rule must be specified without nonResourceURLs, verbs, resources or resourceNames".into());
            }
            let selector = json!({"matchLabels": pairs(labels)?});
            return Ok(json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
                "metadata": {"name": name}, "rules": null,
                "aggregationRule": {"clusterRoleSelectors": [selector]},
            }));
        }
        if self.verb.is_empty() {
            return Err("at least one verb must be specified".into());
        }
        if self.resource.is_empty() && self.non_resource_url.is_empty() {
            return Err("at least one resource must be specified".into());
        }
        for verb in &self.verb {
            if !VERBS.contains(&verb.as_str()) && !self.resource.is_empty() {
                note(&format!(
                    "Warning: '{verb}' is not a standard resource verb"
                ));
            }
        }
        let verbs = if self.verb.iter().any(|v| v == "*") {
            vec!["*".to_owned()]
        } else {
            self.verb.clone()
        };
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        // With this one all others mean nothing.
        let all = self.resource.iter().any(|word| word == "*");
        if all {
            groups.push((String::new(), vec!["*".to_owned()]));
        }
        for word in self.resource.iter().filter(|_| !all) {
            let (word, part) = word
                .split_once('/')
                .map_or((word.as_str(), ""), |(w, p)| (w, p));
            let resource = context
                .resource(word)
                .await
                .map_err(|error| Error::Bare(error.to_string()))?;
            let plural = if part.is_empty() {
                resource.plural
            } else {
                format!("{}/{part}", resource.plural)
            };
            match groups
                .iter_mut()
                .find(|(group, _)| *group == resource.group)
            {
                Some((_, plurals)) => plurals.push(plural),
                None => groups.push((resource.group, vec![plural])),
            }
        }
        let mut rules: Vec<Value> = groups
            .into_iter()
            .map(|(group, plurals)| {
                let mut rule = json!({"verbs": verbs, "apiGroups": [group], "resources": plurals});
                if !self.resource_name.is_empty() {
                    rule["resourceNames"] = self.resource_name.clone().into();
                }
                rule
            })
            .collect();
        if !self.non_resource_url.is_empty() {
            rules.push(json!({"verbs": verbs, "nonResourceURLs": self.non_resource_url}));
        }
        Ok(
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "rules": rules}),
        )
    }
}

/// Who gets a role.
#[derive(Args, Debug)]
pub(crate) struct Binding {
    /// The name
    words: Vec<String>,
    /// The cluster role
    #[arg(long)]
    clusterrole: Option<String>,
    /// The role
    #[arg(long)]
    role: Option<String>,
    /// A group, repeatable
    #[arg(long)]
    group: Vec<String>,
    /// A service account as namespace:name, repeatable
    #[arg(long)]
    serviceaccount: Vec<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Binding {
    pub(super) fn object(&self, kind: &str, users: &[String]) -> Result<Value> {
        let name = one(&self.words, &kind.to_lowercase())?;
        let role = match (&self.clusterrole, &self.role) {
            (Some(name), None) => ("ClusterRole", name),
            (None, Some(name)) if kind == "RoleBinding" => ("Role", name),
            _ if kind == "RoleBinding" => {
                return Err("exactly one of clusterrole or role must be specified".into());
            }
            _ => return Err("required flag(s) \"clusterrole\" not set".into()),
        };
        let rbac = "rbac.authorization.k8s.io";
        let mut subjects = Vec::new();
        for user in users {
            subjects.push(json!({"kind": "User", "apiGroup": rbac, "name": user}));
        }
        for group in &self.group {
            subjects.push(json!({"kind": "Group", "apiGroup": rbac, "name": group}));
        }
        for account in &self.serviceaccount {
            let (namespace, name) = account
                .split_once(':')
                .filter(|(a, b)| !a.is_empty() && !b.is_empty())
                .ok_or_else(|| "serviceaccount must be <namespace>:<name>".to_owned())?;
            subjects.push(json!({"kind": "ServiceAccount", "name": name, "namespace": namespace}));
        }
        let mut object = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name},
            "roleRef": {"apiGroup": rbac, "kind": role.0, "name": role.1},
        });
        if !subjects.is_empty() {
            object["subjects"] = subjects.into();
        }
        Ok(object)
    }
}
