//! Objects from files, folders, URLs and stdin. Nothing of a document that can't be read is used.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Wanted;
use crate::args::Files;
use crate::client::discovery::Resource;
use crate::context::Context;
use crate::error::{Error, Result};

/// The names of files that folders are searched for.
const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];

/// One object of a file, as it stands there.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The object.
    pub(crate) object: Value,
    /// The file's name as the user gave it, or `STDIN`.
    pub(crate) source: String,
    /// Where its fields are.
    pub(crate) document: std::rc::Rc<api::wire::yaml::Document>,
}

/// Reads every object that the flags name, in order. Lists are taken apart.
pub(crate) async fn read(files: &Files) -> Result<Vec<Entry>> {
    if files.kustomize.is_some() {
        return Err("kustomizations are not read by this program: build them with `kustomize build DIR | ctl apply -f -`".into());
    }
    let mut entries = Vec::new();
    for name in &files.filename {
        if name == "-" {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            parse(&text, "STDIN", &mut entries)?;
        } else if name.starts_with("http://") || name.starts_with("https://") {
            parse(&download(name).await?, name, &mut entries)?;
        } else {
            for path in expand(name, files.recursive.unwrap_or(false))? {
                let text = std::fs::read_to_string(&path).map_err(|error| {
                    format!("open {}: {}", path.display(), crate::error::os(&error))
                })?;
                parse(&text, &path.display().to_string(), &mut entries)?;
            }
        }
    }
    Ok(entries)
}

/// The files that a path stands for.
fn expand(name: &str, recursive: bool) -> Result<Vec<PathBuf>> {
    let path = Path::new(name);
    let known = match std::fs::metadata(path) {
        Ok(known) => known,
        Err(_) if name.contains(['*', '?', '[']) => {
            return Err(format!("the path {name:?} does not exist").into());
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(format!("the path {name:?} does not exist").into());
        }
        Err(error) => {
            return Err(format!(
                "the path {name:?} cannot be accessed: stat {name}: {}",
                crate::error::os(&error)
            )
            .into());
        }
    };
    if !known.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    walk(path, recursive, &mut found)?;
    if found.is_empty() {
        return Err(format!(
            "error reading [{name}]: recognized file extensions are [.json .yaml .yml]"
        )
        .into());
    }
    Ok(found)
}

fn walk(folder: &Path, recursive: bool, found: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|e| e.map(|e| e.path()))
        .collect::<std::io::Result<_>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            if recursive {
                walk(&path, true, found)?;
            }
        } else if path
            .extension()
            .is_some_and(|e| EXTENSIONS.iter().any(|known| e == *known))
        {
            found.push(path);
        }
    }
    Ok(())
}

async fn download(url: &str) -> Result<String> {
    let tls = crate::client::tls::config(&Value::Null, None)?;
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(|e| e.to_string())?;
    let response = client
        .get(url)
        .send()
        .await
        .map_err(|e| format!("unable to read URL {url:?}: {e}"))?;
    if !response.status().is_success() {
        let status = response.status();
        return Err(format!(
            "unable to read URL {url:?}, server reported {status}, status code={}",
            status.as_u16()
        )
        .into());
    }
    response
        .text()
        .await
        .map_err(|e| format!("unable to read URL {url:?}: {e}").into())
}

fn parse(text: &str, source: &str, entries: &mut Vec<Entry>) -> Result<()> {
    let documents = api::wire::yaml::documents(text).map_err(|error| {
        Error::Plain(format!(
            "error parsing {source}: error converting YAML to JSON: yaml: line {}, column {}: {}",
            error.line, error.column, error.message
        ))
    })?;
    for document in documents {
        if document.value.is_null() {
            continue;
        }
        let document = std::rc::Rc::new(document);
        add(document.value.clone(), source, &document, entries)?;
    }
    Ok(())
}

/// Checks that an object says what it is, and takes lists apart.
fn add(
    object: Value,
    source: &str,
    document: &std::rc::Rc<api::wire::yaml::Document>,
    entries: &mut Vec<Entry>,
) -> Result<()> {
    let empty = |field: &str| object[field].as_str().unwrap_or_default().is_empty();
    let problem = if !object.is_object() {
        Some("invalid object to validate")
    } else if empty("kind") {
        Some("kind not set")
    } else if empty("apiVersion") {
        Some("apiVersion not set")
    } else {
        None
    };
    if let Some(problem) = problem {
        return Err(format!("error validating {source:?}: error validating data: {problem}; if you choose to ignore these errors, turn validation off with --validate=false").into());
    }
    if object["kind"].as_str().is_some_and(|k| k.ends_with("List")) && object["items"].is_array() {
        for item in object["items"].as_array().into_iter().flatten() {
            add(item.clone(), source, document, entries)?;
        }
        return Ok(());
    }
    entries.push(Entry {
        object,
        source: source.to_owned(),
        document: document.clone(),
    });
    Ok(())
}

/// The objects of the files, with their kinds and namespaces worked out.
pub(crate) async fn wanted(context: &Context, files: &Files) -> Result<Vec<Wanted>> {
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for entry in read(files).await? {
        match place(context, entry).await {
            Ok(wanted) => found.push(wanted),
            Err(error) => errors.push(error),
        }
    }
    Error::many(errors)?;
    Ok(found)
}

/// An object of a file as it stands there: no server is asked what its kind is called.
pub(crate) fn unplaced(entry: Entry) -> Wanted {
    let object = entry.object;
    let api = object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = api.split_once('/').unwrap_or(("", api));
    Wanted {
        resource: Resource {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: object["kind"].as_str().unwrap_or_default().to_owned(),
            ..Resource::default()
        },
        namespace: api::meta::namespace(&object).to_owned(),
        name: api::meta::name(&object).to_owned(),
        object,
        source: entry.source,
    }
}

/// Finds the kind and the namespace of an object of a file.
pub(crate) async fn place(context: &Context, entry: Entry) -> Result<Wanted> {
    let Entry {
        mut object,
        source,
        document,
    } = entry;
    let Some(resource) = context.resource_of(&object).await? else {
        return Err(unmatched(context, &object, &source, &document).await);
    };
    let namespace = set_namespace(context, &resource, &mut object)?;
    Ok(Wanted {
        name: api::meta::name(&object).to_owned(),
        resource,
        namespace,
        object,
        source,
    })
}

/// Puts the object into the namespace of the run, unless it names one.
fn set_namespace(context: &Context, resource: &Resource, object: &mut Value) -> Result<String> {
    if !resource.namespaced {
        return Ok(String::new());
    }
    let own = api::meta::namespace(object).to_owned();
    if own.is_empty() {
        let namespace = context.namespace()?;
        if let Some(fields) = object.as_object_mut() {
            let meta = fields
                .entry("metadata")
                .or_insert_with(|| serde_json::json!({}));
            if meta.is_object() {
                meta["namespace"] = namespace.clone().into();
            }
        }
        return Ok(namespace);
    }
    if let Some(explicit) = context.explicit_namespace().filter(|n| *n != own) {
        return Err(format!("the namespace from the provided object {own:?} does not match the namespace {explicit:?}. You must pass '--namespace={own}' to perform this operation.").into());
    }
    Ok(own)
}

async fn unmatched(
    context: &Context,
    object: &Value,
    source: &str,
    document: &api::wire::yaml::Document,
) -> Error {
    let kind = object["kind"].as_str().unwrap_or_default();
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let name = api::meta::name(object);
    let namespace = api::meta::namespace(object);
    let _ = (context, document);
    Error::Plain(format!(
        "resource mapping not found for name: {name:?} namespace: {namespace:?} from {source:?}: no matches for kind {kind:?} in version {version:?}\nensure CRDs are installed first"
    ))
}

/// Adds to a server's complaint where in the file the fields are that it names.
pub(crate) fn locate(error: Error, document: &api::wire::yaml::Document, source: &str) -> Error {
    let Error::Status {
        status,
        context,
        mut hint,
    } = error
    else {
        return error;
    };
    for path in field_paths(&status) {
        if let Some((line, column)) = document.position(&path) {
            hint.push_str(&format!("\n  {source}:{line}:{column}: {path}"));
        }
    }
    Error::Status {
        status,
        context,
        hint,
    }
}

/// The fields that a complaint names: those of its causes, and those quoted in decoding errors.
fn field_paths(status: &Value) -> Vec<String> {
    let causes = status["details"]["causes"].as_array().into_iter().flatten();
    let mut paths: Vec<String> = causes
        .filter_map(|c| c["field"].as_str())
        .filter(|f| !f.is_empty())
        .map(str::to_owned)
        .collect();
    let message = crate::error::status_message(status);
    for piece in message
        .split("unknown field \"")
        .skip(1)
        .chain(message.split("duplicate field \"").skip(1))
    {
        paths.extend(piece.split('"').next().map(str::to_owned));
    }
    paths.dedup();
    paths
}
