//! The kubeconfig: which files, merged how, and what a context stands for.
//!
//! Files are kept as JSON values, so that writing one back keeps what this program doesn't know.
//! Of several files in `KUBECONFIG` the first that names a thing wins, and relative paths are
//! relative to the file that has them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{checks, shape};
use crate::args::Global;
use crate::error::{Error, Result};

/// The three kinds of named things, with the name of the field that holds one.
pub(crate) const SECTIONS: [(&str, &str); 3] = [
    ("clusters", "cluster"),
    ("contexts", "context"),
    ("users", "user"),
];

/// Fields that hold paths, by section.
const PATHS: [(&str, &[&str]); 2] = [
    ("clusters", &["certificate-authority"]),
    ("users", &["client-certificate", "client-key", "tokenFile"]),
];

/// A merged kubeconfig.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    /// `clusters`, `contexts`, `users`: name to body.
    sections: BTreeMap<&'static str, BTreeMap<String, Value>>,
    /// Where each named thing came from.
    origins: BTreeMap<(&'static str, String), PathBuf>,
    /// The context that is used unless a flag says otherwise.
    pub(crate) current_context: String,
    /// The file that a flag names, when it isn't there: only `config` can do without.
    absent: Option<PathBuf>,
    /// The files of the configuration, in order of precedence, existing or not.
    pub(crate) files: Vec<PathBuf>,
}

/// The files that make up the configuration.
pub(crate) fn files(global: &Global) -> Vec<PathBuf> {
    if let Some(explicit) = &global.kubeconfig {
        return vec![PathBuf::from(explicit)];
    }
    let listed: Vec<PathBuf> = std::env::var("KUBECONFIG")
        .unwrap_or_default()
        .split(':')
        .filter(|p| !p.is_empty())
        .map(PathBuf::from)
        .collect();
    if listed.is_empty() {
        vec![home().join(".kube").join("config")]
    } else {
        listed
    }
}

/// The user's home directory, or the root when there is none.
pub(crate) fn home() -> PathBuf {
    std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from)
}

/// Reads one file; `None` when it isn't there.
pub(crate) fn read(path: &Path) -> Result<Option<Value>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(format!(
                "error loading config file {:?}: open {}: {}",
                path,
                path.display(),
                crate::error::os(&error)
            )
            .into());
        }
    };
    if text.trim().is_empty() {
        return Ok(Some(json!({})));
    }
    let mut documents = api::wire::yaml::documents(&text).map_err(|e| {
        format!(
            "error loading config file {path:?}: yaml: line {}, column {}: {}",
            e.line, e.column, e.message
        )
    })?;
    if documents.is_empty() {
        return Ok(Some(json!({})));
    }
    let file = documents.swap_remove(0).value;
    let (kind, version) = (&file["kind"], &file["apiVersion"]);
    let known = (kind.is_null() || kind == "Config") && (version.is_null() || version == "v1");
    if !(file.is_object() || file.is_null()) {
        return Err(format!(
            "error loading config file {path:?}: couldn't get version/kind; it holds no map of fields"
        )
        .into());
    }
    if !known {
        return Err(format!(
            "error loading config file {path:?}: no kind {kind} is registered for version {version}"
        )
        .into());
    }
    for (section, field) in SECTIONS {
        for entry in file[section].as_array().into_iter().flatten() {
            shape::check_data(section, &entry[field])
                .map_err(|problem| format!("error loading config file {path:?}: {problem}"))?;
        }
    }
    Ok(Some(file))
}

impl Config {
    /// Reads and merges the files that the flags and the environment name.
    pub(crate) fn load(global: &Global) -> Result<Self> {
        let mut config = Self {
            files: files(global),
            ..Self::default()
        };
        for path in config.files.clone() {
            match read(&path)? {
                Some(value) => config.merge(&path, &value),
                None if global.kubeconfig.is_some() => config.absent = Some(path),
                None => {}
            }
        }
        Ok(config)
    }

    fn merge(&mut self, path: &Path, file: &Value) {
        if self.current_context.is_empty() {
            file["current-context"]
                .as_str()
                .unwrap_or_default()
                .clone_into(&mut self.current_context);
        }
        for (section, field) in SECTIONS {
            for entry in file[section].as_array().into_iter().flatten() {
                let Some(name) = entry["name"].as_str() else {
                    continue;
                };
                let known = self.sections.entry(section).or_default();
                if known.contains_key(name) {
                    continue;
                }
                let mut body = entry[field].clone();
                if body.is_null() {
                    body = json!({});
                }
                known.insert(name.to_owned(), body);
                self.origins
                    .insert((section, name.to_owned()), path.to_owned());
            }
        }
    }

    /// A section's things by name.
    pub(crate) fn section(&self, section: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.sections.get(section).into_iter().flatten()
    }

    /// One thing of a section.
    pub(crate) fn get(&self, section: &str, name: &str) -> Option<&Value> {
        self.sections.get(section)?.get(name)
    }

    /// One thing of a section, with its paths absolute.
    fn resolved(&self, section: &str, name: &str) -> Option<Value> {
        let mut body = self.get(section, name)?.clone();
        if let Some(path) = self.origin(section, name) {
            absolute(section, &mut body, path);
        }
        Some(body)
    }

    /// Keeps only what `keep` accepts, given section and name.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str, &str) -> bool) {
        for (section, things) in &mut self.sections {
            things.retain(|name, _| keep(section, name));
        }
    }

    /// Changes every thing of a section, given the file that it is from.
    pub(crate) fn each_mut(
        &mut self,
        section: &'static str,
        mut change: impl FnMut(&mut Value, &Path),
    ) {
        for (name, body) in self.sections.get_mut(section).into_iter().flatten() {
            let origin = self.origins.get(&(section, name.clone()));
            change(body, origin.map_or(Path::new(""), PathBuf::as_path));
        }
    }

    /// The file that holds a thing.
    pub(crate) fn origin(&self, section: &str, name: &str) -> Option<&Path> {
        self.origins
            .iter()
            .find(|((s, n), _)| *s == section && n == name)
            .map(|(_, path)| path.as_path())
    }

    /// Whether nothing is configured.
    pub(crate) fn is_empty(&self) -> bool {
        self.sections.values().all(BTreeMap::is_empty) && self.current_context.is_empty()
    }

    /// The configuration as one file.
    pub(crate) fn to_value(&self) -> Value {
        let mut file = Map::new();
        file.insert("apiVersion".into(), "v1".into());
        file.insert("kind".into(), "Config".into());
        file.insert(
            "current-context".into(),
            self.current_context.clone().into(),
        );
        for (section, field) in SECTIONS {
            let things: Vec<Value> = self
                .section(section)
                .map(|(name, body)| {
                    let mut body = body.clone();
                    shape::only_known(section, &mut body);
                    shape::complete(section, &mut body);
                    json!({"name": name, field: body})
                })
                .collect();
            file.insert(
                section.into(),
                if things.is_empty() {
                    Value::Null
                } else {
                    things.into()
                },
            );
        }
        Value::Object(file)
    }

    /// What the flags and the current context choose.
    pub(crate) fn choose(&self, global: &Global, purpose: Purpose) -> Result<Chosen> {
        if let Some(path) = &self.absent {
            return Err(format!("stat {}: no such file or directory", path.display()).into());
        }
        let name = global
            .context
            .clone()
            .unwrap_or_else(|| self.current_context.clone());
        let context = match self.get("contexts", &name) {
            Some(context) => context.clone(),
            None if name.is_empty() => json!({}),
            None if global.context.is_some() && purpose == Purpose::Connection => {
                return Err(format!("context {name:?} does not exist").into());
            }
            None => {
                return Err(Error::Configuration(vec![format!(
                    "context was not found for specified context: {name}"
                )]));
            }
        };
        let pick = |flag: &Option<String>, section: &str, field: &str| -> Result<(String, Value)> {
            let name = flag
                .clone()
                .unwrap_or_else(|| context[field].as_str().unwrap_or_default().to_owned());
            match self.resolved(section, &name) {
                Some(body) => Ok((name, body)),
                None if flag.is_none() => Ok((name, json!({}))),
                None if field == "user" => Err(format!("auth info {name:?} does not exist").into()),
                None if purpose == Purpose::Connection => {
                    Err(format!("cluster {name:?} does not exist").into())
                }
                None => Err(format!("no server found for cluster {name:?}").into()),
            }
        };
        let (cluster_name, mut cluster) = pick(&global.cluster, "clusters", "cluster")?;
        let (user_name, mut user) = pick(&global.user, "users", "user")?;
        override_cluster(&mut cluster, global);
        override_user(&mut user, global);
        let configured = context["namespace"].as_str().filter(|n| !n.is_empty());
        let mut problems = checks::user(&user_name, &user);
        problems.extend(checks::cluster(&cluster_name, &cluster));
        match (problems.len(), &global.namespace) {
            (0, _) => {}
            // kubectl comes upon it while it looks for the namespace, and words it in another way.
            (1, None) => return Err(Error::Plain(problems.swap_remove(0))),
            _ => return Err(Error::Configuration(problems)),
        }
        let authority = |field: &str| cluster[field].as_str().is_some_and(|a| !a.is_empty());
        if cluster["insecure-skip-tls-verify"] == true
            && (authority("certificate-authority") || authority("certificate-authority-data"))
        {
            return Err(
                "specifying a root certificates file with the insecure flag is not allowed".into(),
            );
        }
        Ok(Chosen {
            namespace: configured.map(str::to_owned),
            cluster,
            user,
        })
    }
}

/// What a choice is for. kubectl words some of its problems in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The namespace that commands work in.
    Namespace,
    /// The server and the user.
    Connection,
}

/// What a context stands for, flags applied.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    /// The context's namespace.
    pub(crate) namespace: Option<String>,
    /// The body of the cluster.
    pub(crate) cluster: Value,
    /// The body of the user.
    pub(crate) user: Value,
}

fn override_cluster(cluster: &mut Value, global: &Global) {
    let mut set = |field: &str, value: &Option<String>| {
        if let Some(value) = value {
            cluster[field] = value.clone().into();
        }
    };
    set("server", &global.server);
    set("tls-server-name", &global.tls_server_name);
    set("proxy-url", &global.proxy_url);
    // These say together how the server is checked: one of them puts aside all that the file says.
    if global.certificate_authority.is_some() || global.insecure_skip_tls_verify {
        cluster["certificate-authority"] = global.certificate_authority.clone().into();
        cluster["certificate-authority-data"] = Value::Null;
        cluster["insecure-skip-tls-verify"] = global.insecure_skip_tls_verify.into();
    }
}

fn override_user(user: &mut Value, global: &Global) {
    if let Some(token) = &global.token {
        user["token"] = token.clone().into();
        user["tokenFile"] = Value::Null;
    }
    for (field, flag) in [
        ("username", &global.username),
        ("password", &global.password),
        ("client-certificate", &global.client_certificate),
        ("client-key", &global.client_key),
        ("as", &global.impersonate),
        ("as-uid", &global.as_uid),
    ] {
        if let Some(value) = flag {
            user[field] = value.clone().into();
        }
    }
    if global.client_certificate.is_some() {
        user["client-certificate-data"] = Value::Null;
    }
    if global.client_key.is_some() {
        user["client-key-data"] = Value::Null;
    }
    if !global.as_group.is_empty() {
        user["as-groups"] = global.as_group.clone().into();
    }
    for extra in &global.as_user_extra {
        let (key, value) = extra.split_once('=').unwrap_or((extra, ""));
        let held = &mut user["as-user-extra"][key];
        match held.as_array_mut() {
            Some(values) => values.push(value.into()),
            None => *held = json!([value]),
        }
    }
}

/// Makes the paths of a thing absolute.
pub(crate) fn absolute(section: &str, body: &mut Value, file: &Path) {
    let base = file.parent().unwrap_or(Path::new(""));
    let base = if base.is_absolute() {
        base.to_owned()
    } else {
        std::env::current_dir().unwrap_or_default().join(base)
    };
    for field in PATHS
        .iter()
        .filter(|(s, _)| *s == section)
        .flat_map(|(_, fields)| *fields)
    {
        if let Some(path) = body[*field]
            .as_str()
            .filter(|p| !p.is_empty() && !Path::new(p).is_absolute())
        {
            body[*field] = clean(&base.join(path)).into();
        }
    }
    // A command with a slash is a path; one without is looked up on PATH.
    if let Some(command) = body["exec"]["command"].as_str()
        && command.contains('/')
        && !Path::new(command).is_absolute()
    {
        body["exec"]["command"] = clean(&base.join(command)).into();
    }
}

/// A path without `.` and `..`.
pub(crate) fn clean(path: &Path) -> String {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out.display().to_string()
}
