//! The sub-commands of `config` that write: each changes one thing in the file that has it.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use clap::Args;
use serde_json::{Value, json};

use crate::client::kubeconfig::{self, Config, SECTIONS};
use crate::client::shape;
use crate::context::{Context, line};
use crate::error::{Error, Result};

/// Set an individual value: a dotted path and its new value.
#[derive(Args, Debug)]
pub(crate) struct Set {
    /// A path such as contexts.dev.namespace, and the value
    words: Vec<String>,
    /// Take the value of a -data field as bytes, not as base64
    #[arg(long)]
    set_raw_bytes: bool,
}

/// Unset an individual value.
#[derive(Args, Debug)]
pub(crate) struct Unset {
    /// A path such as contexts.dev.namespace
    words: Vec<String>,
}

/// Set a cluster entry.
#[derive(Args, Debug)]
pub(crate) struct SetCluster {
    /// The name of the cluster
    words: Vec<String>,
    /// Put the certificates into the file
    #[arg(long)]
    embed_certs: bool,
}

/// Set a context entry.
#[derive(Args, Debug)]
pub(crate) struct SetContext {
    /// The name of the context
    words: Vec<String>,
    /// The current context
    #[arg(long)]
    current: bool,
}

/// The file that a change goes to: the one that has the thing, else the first that is there, else the
/// last of the list.
pub(super) fn file_of(config: &Config, section: &str, name: &str) -> PathBuf {
    if let Some(path) = config.origin(section, name) {
        return path.to_owned();
    }
    let existing = config.files.iter().find(|f| f.exists());
    existing
        .or(config.files.last())
        .cloned()
        .unwrap_or_default()
}

/// Reads a file, lets `change` work on it and writes it, under the lock that kubectl uses.
pub(super) fn rewrite(path: &Path, change: impl FnOnce(&mut Value) -> Result<()>) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let lock = PathBuf::from(format!("{}.lock", path.display()));
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&lock)
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Error::Plain(format!("open {}: file exists", lock.display()))
            }
            _ => error.into(),
        })?;
    let result = kubeconfig::read(path).and_then(|file| {
        let mut file = file.unwrap_or_else(|| json!({}));
        file["apiVersion"] = "v1".into();
        file["kind"] = "Config".into();
        change(&mut file)?;
        for (section, field) in SECTIONS {
            tidy(&mut file[section], section, field);
        }
        if file["current-context"].is_null() {
            file["current-context"] = "".into();
        }
        let mut out = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        out.write_all(api::wire::yaml::write(&file).as_bytes())?;
        Ok(())
    });
    std::fs::remove_file(&lock)?;
    result
}

/// A section as kubectl writes it: sorted by name, with the fields that are always there. What this
/// program doesn't know stays.
fn tidy(list: &mut Value, section: &str, field: &str) {
    let Some(things) = list.as_array_mut().filter(|things| !things.is_empty()) else {
        *list = Value::Null;
        return;
    };
    things.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    for thing in things {
        shape::complete(section, &mut thing[field]);
    }
}

/// The body of a named thing in a file, made when it isn't there.
pub(super) fn body<'a>(file: &'a mut Value, section: &str, name: &str) -> &'a mut Value {
    let field = SECTIONS
        .iter()
        .find(|(s, _)| *s == section)
        .map_or("", |(_, field)| field);
    if !file[section].is_array() {
        file[section] = json!([]);
    }
    let at = {
        // It was made an array just now.
        let list = file[section].as_array_mut().expect("an array");
        match list.iter().position(|e| e["name"] == name) {
            Some(at) => at,
            None => {
                list.push(json!({"name": name, field: {}}));
                list.len() - 1
            }
        }
    };
    &mut file[section][at][field]
}

fn one(words: &[String]) -> Result<&str> {
    match words {
        [name] => Ok(name),
        _ => Err(format!("Unexpected args: [{}]", words.join(" ")).into()),
    }
}

/// `config use-context`.
pub(super) fn use_context(context: &Context, words: &[String]) -> Result<()> {
    let name = one(words)?;
    let config = context.config()?;
    if config.get("contexts", name).is_none() {
        return Err(format!("no context exists with the name: {name:?}").into());
    }
    let path = config.files.iter().find(|f| matches!(kubeconfig::read(f), Ok(Some(v)) if v["current-context"].as_str().is_some_and(|c| !c.is_empty())));
    let path = path
        .cloned()
        .unwrap_or_else(|| file_of(config, "contexts", name));
    rewrite(&path, |file| {
        file["current-context"] = name.into();
        Ok(())
    })?;
    line(&format!("Switched to context {name:?}."))
}

/// `config delete-cluster|delete-context|delete-user`.
pub(super) fn delete(context: &Context, section: &str, what: &str, words: &[String]) -> Result<()> {
    let [name] = words else {
        return Err(if section == "users" {
            "user to delete is required\nSee 'ctl config delete-user -h' for help and examples"
                .into()
        } else {
            format!("you must specify a {what} to delete").into()
        });
    };
    let config = context.config()?;
    let path = file_of(config, section, name);
    if config.get(section, name).is_none() {
        return Err(format!("cannot delete {what} {name}, not in {}", path.display()).into());
    }
    if section == "contexts" && config.current_context == *name {
        crate::context::note(
            "warning: this removed your active context, use \"ctl config use-context\" to select a different one",
        );
    }
    rewrite(&path, |file| {
        if let Some(list) = file[section].as_array_mut() {
            list.retain(|e| e["name"] != name.as_str());
        }
        Ok(())
    })?;
    line(&format!("deleted {what} {name} from {}", path.display()))
}

/// `config rename-context`.
pub(super) fn rename(context: &Context, words: &[String]) -> Result<()> {
    let [from, to] = words else {
        return Err(format!("Unexpected args: [{}]", words.join(" ")).into());
    };
    let config = context.config()?;
    let Some(held) = config.get("contexts", from) else {
        return Err(format!(
            "cannot rename the context {from:?}, it's not in {}",
            file_of(config, "contexts", from).display()
        )
        .into());
    };
    if config.get("contexts", to).is_some() {
        return Err(format!(
            "cannot rename the context {from:?}, the context {to:?} already exists in {}",
            file_of(config, "contexts", to).display()
        )
        .into());
    }
    let path = file_of(config, "contexts", from);
    rewrite(&path, |file| {
        *body(file, "contexts", to) = held.clone();
        if let Some(list) = file["contexts"].as_array_mut() {
            list.retain(|e| e["name"] != from.as_str());
        }
        if file["current-context"] == from.as_str() {
            file["current-context"] = to.clone().into();
        }
        Ok(())
    })?;
    line(&format!("Context {from:?} renamed to {to:?}."))
}

impl SetContext {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let config = context.config()?;
        let name = match (self.current, self.words.as_slice()) {
            (true, []) if config.current_context.is_empty() => {
                return Err("no current context is set".into());
            }
            (true, []) => config.current_context.clone(),
            (false, [name]) => name.clone(),
            (true, _) => return Err("you cannot specify both a context name and --current".into()),
            (false, []) => {
                return Err("you must specify a non-empty context name or --current".into());
            }
            _ => return Err(format!("Unexpected args: [{}]", self.words.join(" ")).into()),
        };
        let known = config.get("contexts", &name).is_some();
        let global = &context.global;
        rewrite(&file_of(config, "contexts", &name), |file| {
            let body = body(file, "contexts", &name);
            for (field, flag) in [
                ("cluster", &global.cluster),
                ("user", &global.user),
                ("namespace", &global.namespace),
            ] {
                if let Some(value) = flag {
                    body[field] = value.clone().into();
                }
            }
            Ok(())
        })?;
        line(&format!(
            "Context {name:?} {}.",
            if known { "modified" } else { "created" }
        ))
    }
}

impl SetCluster {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let name = one(&self.words)?;
        let config = context.config()?;
        let global = &context.global;
        if global.certificate_authority.is_some() && global.insecure_skip_tls_verify {
            return Err(
                "you cannot specify a certificate authority and insecure mode at the same time"
                    .into(),
            );
        }
        if self.embed_certs && global.certificate_authority.is_none() {
            return Err("you must specify a --certificate-authority to embed".into());
        }
        let path = file_of(config, "clusters", name);
        rewrite(&path, |file| {
            let body = body(file, "clusters", name);
            for (field, flag) in [
                ("server", &global.server),
                ("tls-server-name", &global.tls_server_name),
                ("proxy-url", &global.proxy_url),
            ] {
                if let Some(value) = flag {
                    body[field] = value.clone().into();
                }
            }
            if global.insecure_skip_tls_verify {
                body["insecure-skip-tls-verify"] = true.into();
                remove(
                    body,
                    &["certificate-authority", "certificate-authority-data"],
                );
            }
            if let Some(held) = &global.certificate_authority {
                certificate(body, "certificate-authority", held, self.embed_certs, &path)?;
                remove(body, &["insecure-skip-tls-verify"]);
            }
            Ok(())
        })?;
        line(&format!("Cluster {name:?} set."))
    }
}

pub(super) fn remove(body: &mut Value, fields: &[&str]) {
    if let Some(map) = body.as_object_mut() {
        map.retain(|key, _| !fields.contains(&key.as_str()));
    }
}

/// Sets a credential as its contents, or as a path: relative to the kubeconfig `file` when it is
/// below the folder of that.
pub(super) fn certificate(
    body: &mut Value,
    field: &str,
    path: &str,
    embed: bool,
    file: &Path,
) -> Result<()> {
    let data = format!("{field}-data");
    if embed {
        let bytes = std::fs::read(path).map_err(|error| {
            let problem = crate::error::os(&error);
            format!("could not stat {field} file {path}: stat {path}: {problem}")
        })?;
        body[data.as_str()] = base64::engine::general_purpose::STANDARD
            .encode(bytes)
            .into();
        remove(body, &[field]);
    } else {
        let full = PathBuf::from(kubeconfig::clean(&std::path::absolute(path)?));
        let file = std::path::absolute(file)?;
        let below = file
            .parent()
            .and_then(|folder| full.strip_prefix(folder).ok());
        body[field] = below.unwrap_or(&full).display().to_string().into();
        remove(body, &[&data]);
    }
    Ok(())
}

/// A path such as `contexts.dev.namespace`: section, name and field; names may hold dots.
struct Property {
    section: &'static str,
    name: String,
    fields: Vec<String>,
}

impl Property {
    fn parse(text: &str, config: &Config) -> Result<Self> {
        let bad = || {
            Error::Plain(format!(
                "unable to parse path {text:?}: it needs the form clusters|contexts|users.NAME.FIELD"
            ))
        };
        let (section, rest) = text.split_once('.').ok_or_else(bad)?;
        let section = SECTIONS
            .iter()
            .find(|(s, _)| *s == section)
            .ok_or_else(bad)?
            .0;
        let known = config
            .section(section)
            .map(|(name, _)| name)
            .filter(|n| rest == n.as_str() || rest.starts_with(&format!("{n}.")))
            .max_by_key(|n| n.len());
        let (name, field) = match known {
            Some(name) => (name.clone(), rest[name.len()..].trim_start_matches('.')),
            None => rest
                .split_once('.')
                .map(|(n, f)| (n.to_owned(), f))
                .unwrap_or((rest.to_owned(), "")),
        };
        let fields: Vec<String> = field
            .split('.')
            .filter(|f| !f.is_empty())
            .map(str::to_owned)
            .collect();
        if let Some(first) = fields.first()
            && !shape::fields(section).contains(&first.as_str())
        {
            return Err(format!(
                "unable to parse path {text:?}: {section} have no field {first:?}"
            )
            .into());
        }
        Ok(Self {
            section,
            name,
            fields,
        })
    }
}

impl Set {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let [property, value] = self.words.as_slice() else {
            return Err(format!("Unexpected args: [{}]", self.words.join(" ")).into());
        };
        let config = context.config()?;
        if property == "current-context" {
            rewrite(&file_of(config, "", ""), |file| {
                file["current-context"] = value.clone().into();
                Ok(())
            })?;
            return line(&format!("Property {property:?} set."));
        }
        let place = Property::parse(property, config)?;
        let last = place.fields.last().map_or("", String::as_str);
        let value: Value = match value.as_str() {
            "true" | "false"
                if matches!(last, "insecure-skip-tls-verify" | "disable-compression") =>
            {
                (value == "true").into()
            }
            text if last.ends_with("-data") && self.set_raw_bytes => {
                base64::engine::general_purpose::STANDARD
                    .encode(text)
                    .into()
            }
            text => text.into(),
        };
        rewrite(&file_of(config, place.section, &place.name), |file| {
            let mut at = body(file, place.section, &place.name);
            for field in &place.fields {
                at = &mut at[field.as_str()];
            }
            *at = value;
            Ok(())
        })?;
        line(&format!("Property {property:?} set."))
    }
}

impl Unset {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let property = one(&self.words)?;
        let config = context.config()?;
        if property == "current-context" {
            rewrite(&file_of(config, "", ""), |file| {
                file["current-context"] = "".into();
                Ok(())
            })?;
            return line(&format!("Property {property:?} unset."));
        }
        let place = Property::parse(property, config)?;
        rewrite(&file_of(config, place.section, &place.name), |file| {
            let Some((last, before)) = place.fields.split_last() else {
                if let Some(list) = file[place.section].as_array_mut() {
                    list.retain(|e| e["name"] != place.name.as_str());
                }
                return Ok(());
            };
            let mut at = body(file, place.section, &place.name);
            for field in before {
                at = &mut at[field.as_str()];
            }
            remove(at, &[last]);
            Ok(())
        })?;
        line(&format!("Property {property:?} unset."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_has_a_section_a_name_and_known_fields() {
        let config = Config::default();
        let property = Property::parse("contexts.dev.namespace", &config).expect("a property");
        assert_eq!(
            (property.section, property.name.as_str()),
            ("contexts", "dev")
        );
        assert!(Property::parse("users.me.exec.command", &config).is_ok());
        for wrong in ["users.me.tokn", "people.me.token", "users"] {
            assert!(Property::parse(wrong, &config).is_err(), "{wrong}");
        }
    }
}
