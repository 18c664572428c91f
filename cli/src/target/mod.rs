//! What a command acts on: words such as `pods`, `po/x`, `deploy web`, selectors, and files.

pub(crate) mod files;
pub(crate) mod pods;
pub(crate) mod watch;

use std::collections::VecDeque;

use serde_json::Value;

use crate::args::Files;
use crate::client::discovery::Resource;
use crate::client::{self, Request};
use crate::context::Context;
use crate::error::{Error, Result};

/// What the command line says to act on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spec {
    /// Types and names.
    pub(crate) words: Vec<String>,
    /// Files that name objects.
    pub(crate) files: Files,
    /// A label selector, or empty.
    pub(crate) labels: String,
    /// A field selector, or empty.
    pub(crate) fields: String,
    /// Whether every namespace is meant.
    pub(crate) all_namespaces: bool,
    /// Whether a type alone means all of its objects.
    pub(crate) all: bool,
    /// The most objects that one answer is to hold; 0 for all of them.
    pub(crate) chunk: i64,
}

/// One thing to ask the server for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Its kind.
    pub(crate) resource: Resource,
    /// Its namespace; empty for all of them, or for a kind without.
    pub(crate) namespace: String,
    /// Its name; empty for a list.
    pub(crate) name: String,
    /// Its body in a file, where it comes from one.
    pub(crate) object: Value,
    /// The file, or empty.
    pub(crate) source: String,
}

impl Wanted {
    /// The path to ask.
    pub(crate) fn path(&self) -> String {
        if self.name.is_empty() {
            return self.resource.path(Some(&self.namespace));
        }
        self.resource.object_path(&self.namespace, &self.name)
    }

    /// `deployment.apps/web`.
    pub(crate) fn display(&self) -> String {
        format!("{}/{}", self.resource.prefix(), self.name)
    }

    /// The object as the server has it now.
    pub(crate) async fn fetch(&self, context: &Context) -> Result<Value> {
        context.client()?.json(Request::get(self.path())).await
    }
}

/// The things to ask for, in the order of the command line, and whether the user named several types.
pub(crate) struct Resolved {
    /// Each with a name or as a list.
    pub(crate) wanted: Vec<Wanted>,
    /// Whether names in output need their type in front.
    pub(crate) several_types: bool,
    /// Whether the user named one thing.
    pub(crate) single: bool,
}

/// Works out what to ask for.
pub(crate) async fn resolve(context: &Context, spec: &Spec) -> Result<Resolved> {
    // First, as kubectl does: what is wrong with the kubeconfig is worded by what came upon it.
    context.namespace()?;
    if !spec.files.filename.is_empty() || spec.files.kustomize.is_some() {
        if !spec.words.is_empty() {
            return Err("when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well".into());
        }
        let wanted = files::wanted(context, &spec.files).await?;
        let first = wanted.first().map(|w| w.resource.qualified());
        let several_types = wanted.iter().any(|w| Some(w.resource.qualified()) != first);
        let single = wanted.len() == 1;
        return Ok(Resolved {
            wanted,
            several_types,
            single,
        });
    }
    let words: Vec<String> = spec
        .words
        .iter()
        .filter(|w| !w.is_empty())
        .cloned()
        .collect();
    if words.is_empty() {
        return Err(nothing());
    }
    if words.iter().any(|w| w.contains('/')) {
        return pairs(context, spec, &words).await;
    }
    typed(context, spec, &words).await
}

fn nothing() -> Error {
    Error::Plain(
        "You must provide one or more resources by argument or filename.\nExample resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'"
            .to_owned(),
    )
}

/// `po/x svc/y`.
async fn pairs(context: &Context, spec: &Spec, words: &[String]) -> Result<Resolved> {
    if !spec.labels.is_empty() {
        return Err(
            "selectors and the all flag cannot be used when passing resource/name arguments".into(),
        );
    }
    let pairs: Vec<(&str, &str)> = words.iter().map(|word| pair(word)).collect::<Result<_>>()?;
    let namespace = context.namespace()?;
    let mut wanted = Vec::new();
    for (kind, name) in pairs {
        let resource = context.resource(kind).await?;
        wanted.push(named(resource, &namespace, name));
    }
    if spec.all_namespaces && wanted.iter().any(|w| w.resource.namespaced) {
        return Err(by_name_in_all());
    }
    let first = wanted.first().map(|w| w.resource.qualified());
    let several_types = wanted.iter().any(|w| Some(w.resource.qualified()) != first);
    let single = wanted.len() == 1;
    Ok(Resolved {
        wanted,
        several_types,
        single,
    })
}

fn by_name_in_all() -> Error {
    "a resource cannot be retrieved by name across all namespaces".into()
}

/// The type and the name of `po/x`.
fn pair(word: &str) -> Result<(&str, &str)> {
    let Some((kind, name)) = word.split_once('/') else {
        return Err("there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'ctl get resource/<resource_name>' instead of 'ctl get resource resource/<resource_name>'".into());
    };
    if name.contains('/') {
        return Err("arguments in resource/name form may not have more than one slash".into());
    }
    if kind.is_empty() || name.is_empty() || kind.contains(',') {
        return Err("arguments in resource/name form must have a single resource and name".into());
    }
    Ok((kind, name))
}

/// `pods`, `pods,svc`, `pods x y`, `all`.
async fn typed(context: &Context, spec: &Spec, words: &[String]) -> Result<Resolved> {
    let kinds: Vec<&str> = words[0].split(',').filter(|k| !k.is_empty()).collect();
    let names = &words[1..];
    let mut resources = Vec::new();
    let mut several_types = kinds.len() > 1;
    for kind in kinds {
        let category: Vec<Resource> = context
            .discovery()
            .await?
            .category(kind)
            .into_iter()
            .cloned()
            .collect();
        if category.is_empty() {
            resources.push(context.resource(kind).await?);
        } else {
            several_types = true;
            resources.extend(
                category
                    .into_iter()
                    .filter(|r| r.verbs.iter().any(|v| v == "list")),
            );
        }
    }
    if !names.is_empty() {
        if !spec.labels.is_empty() || !spec.fields.is_empty() && spec.words.len() > 1 {
            return Err("name cannot be provided when a selector is specified".into());
        }
        if spec.all_namespaces && resources.iter().any(|r| r.namespaced) {
            return Err(by_name_in_all());
        }
        let namespace = context.namespace()?;
        let wanted: Vec<Wanted> = resources
            .iter()
            .flat_map(|r| names.iter().map(|n| named(r.clone(), &namespace, n)))
            .collect();
        let single = wanted.len() == 1;
        return Ok(Resolved {
            wanted,
            several_types,
            single,
        });
    }
    if spec.labels.is_empty() && spec.fields.is_empty() && !spec.all {
        return Err("resource(s) were provided, but no name was specified".into());
    }
    let namespace = if spec.all_namespaces {
        String::new()
    } else {
        context.namespace()?
    };
    let wanted = resources
        .into_iter()
        .map(|r| named(r, &namespace, ""))
        .collect();
    Ok(Resolved {
        wanted,
        several_types,
        single: false,
    })
}

fn named(resource: Resource, namespace: &str, name: &str) -> Wanted {
    let namespace = if resource.namespaced {
        namespace.to_owned()
    } else {
        String::new()
    };
    Wanted {
        resource,
        namespace,
        name: name.to_owned(),
        object: Value::Null,
        source: String::new(),
    }
}

/// Resolves and fetches every object: lists are asked for and taken apart. Errors of single objects
/// come beside the objects that were found.
pub(crate) async fn objects(context: &Context, spec: &Spec) -> Result<(Vec<Wanted>, Vec<Error>)> {
    let mut queue: VecDeque<Wanted> = resolve(context, spec).await?.wanted.into();
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    while let Some(mut wanted) = queue.pop_front() {
        let request = Request::get(wanted.path());
        if wanted.name.is_empty() {
            let request = request
                .query("labelSelector", &spec.labels)
                .query("fieldSelector", &spec.fields);
            match chunks(context, request, &wanted.resource, spec.chunk).await {
                Ok(listed) => found.extend(listed),
                Err(error) => errors.push(unfound(error, &wanted, spec)),
            }
            continue;
        }
        match context.client()?.json(request).await {
            Ok(object) => {
                wanted.object = object;
                found.push(wanted);
            }
            Err(error) => errors.push(error),
        }
    }
    Ok((found, errors))
}

/// Asks for a list, in chunks of that many objects.
pub(crate) async fn chunks(
    context: &Context,
    request: Request,
    resource: &Resource,
    chunk: i64,
) -> Result<Vec<Wanted>> {
    let request = if chunk > 0 {
        request.query("limit", chunk.to_string())
    } else {
        request
    };
    let mut found = Vec::new();
    let mut paging = String::new();
    loop {
        let next = request.clone().query("continue", paging.as_str());
        let list = context.client()?.json(next).await?;
        found.extend(items(&list, resource));
        list["metadata"]["continue"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut paging);
        if paging.is_empty() {
            return Ok(found);
        }
    }
}

/// kubectl says which list was refused, and with which selectors.
pub(crate) fn unfound(mut error: Error, wanted: &Wanted, spec: &Spec) -> Error {
    let resource = &wanted.resource;
    if !wanted.name.is_empty() || !matches!(error.reason(), "BadRequest" | "NotFound") {
        return error;
    }
    // A path that is not served is answered without words of the server.
    if let Error::Status { status, .. } = &mut error
        && status["message"] == client::NOT_SERVED
    {
        let message = format!("{} (get {})", client::NOT_SERVED, resource.qualified());
        status["message"] = message.into();
    }
    if spec.labels.is_empty() && spec.fields.is_empty() {
        let place = format!("{}/{}", resource.group, resource.version);
        return error.when(&format!(
            "Unable to list \"{place}, Resource={}\"",
            resource.plural
        ));
    }
    error.when(&format!(
        "Unable to find \"{}/{}, Resource={}\" that match label selector {:?}, field selector {:?}",
        resource.group, resource.version, resource.plural, spec.labels, spec.fields
    ))
}

/// The objects of a list, each with its `apiVersion` and `kind`.
pub(crate) fn items(list: &Value, resource: &Resource) -> Vec<Wanted> {
    let each = list["items"].as_array().into_iter().flatten();
    each.map(|item| {
        let mut object = item.clone();
        if object["kind"].is_null() {
            object["apiVersion"] = resource.api_version().into();
            object["kind"] = resource.kind.clone().into();
        }
        Wanted {
            resource: resource.clone(),
            namespace: api::meta::namespace(item).to_owned(),
            name: api::meta::name(item).to_owned(),
            object,
            source: String::new(),
        }
    })
    .collect()
}
