//! `describe`: everything about objects that a person wants to know, events included.

mod generic;

use clap::Args;
use serde_json::Value;

use crate::args::Files;
use crate::client::Request;
use crate::context::{Context, note, print};
use crate::error::{Error, Result};
use crate::target::{self, Spec, Wanted};

/// Show details of a specific resource or group of resources.
///
/// A name may be a prefix of names.
#[derive(Args, Clone, Debug)]
pub(crate) struct Describe {
    /// Types and names: pod x, po/x, pods
    words: Vec<String>,
    #[command(flatten)]
    files: Files,
    /// In all namespaces
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// Ask for lists in chunks of this many
    #[arg(long, default_value_t = 500)]
    chunk_size: i64,
    /// Only objects whose labels fit
    #[arg(long, short = 'l')]
    selector: Option<String>,
    /// Show the events of the objects: true for one object, false for several and for prefixes
    #[arg(long)]
    show_events: Option<bool>,
}

impl Describe {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        if self.words.is_empty() && self.files.filename.is_empty() && self.files.kustomize.is_none()
        {
            return Err("You must specify the type of resource to describe. Use \"ctl api-resources\" for a complete list of supported resources.".into());
        }
        let spec = Spec {
            words: self.words.clone(),
            files: self.files.clone(),
            labels: self.selector.clone().unwrap_or_default(),
            all_namespaces: self.all_namespaces,
            all: true,
            chunk: self.chunk_size,
            ..Spec::default()
        };
        let (mut found, mut errors) = target::objects(context, &spec).await?;
        let mut exact = true;
        if found.is_empty() && errors.iter().any(Error::is_not_found) {
            let near = self.prefixed(context, &spec).await?;
            if !near.is_empty() {
                found = near;
                exact = false;
                errors.clear();
            }
        }
        let show_events = self.show_events.unwrap_or(exact && found.len() == 1);
        for (at, wanted) in found.iter().enumerate() {
            let text = text(context, wanted, show_events, self.chunk_size).await?;
            print(&match (exact, at) {
                (true, 0) => text,
                (true, _) => format!("\n\n{text}"),
                // What a prefix finds is ended by an empty line, the last one too.
                (false, _) => format!("{text}\n"),
            })?;
        }
        if found.is_empty() && errors.is_empty() {
            if self.all_namespaces {
                note("No resources found");
            } else {
                note(&format!(
                    "No resources found in {} namespace.",
                    context.namespace()?
                ));
            }
        }
        Error::many(errors)
    }

    /// Objects whose names begin with the name that was given.
    async fn prefixed(&self, context: &Context, spec: &Spec) -> Result<Vec<Wanted>> {
        let mut near = Vec::new();
        for wanted in target::resolve(context, spec).await?.wanted {
            let request = Request::get(wanted.resource.path(Some(&wanted.namespace)));
            let listed =
                target::chunks(context, request, &wanted.resource, self.chunk_size).await?;
            near.extend(
                listed
                    .into_iter()
                    .filter(|i| i.name.starts_with(&wanted.name)),
            );
        }
        Ok(near)
    }
}

async fn text(context: &Context, wanted: &Wanted, show_events: bool, chunk: i64) -> Result<String> {
    let now = jiff::Timestamp::now();
    let object = &wanted.object;
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let kind = object["kind"].as_str().unwrap_or_default();
    if let Some(known) = api::kinds::by_kind(version, kind) {
        let mut queries = known.related(object);
        queries.retain(|query| show_events || query.plural != "events");
        let mut related = Vec::new();
        for query in &queries {
            related.push(list(context, query, chunk).await?);
        }
        if let Some(text) = known.describe(object, &related, now) {
            return Ok(text);
        }
    }
    let events = if show_events {
        Some(events(context, object, chunk).await?)
    } else {
        None
    };
    Ok(generic::describe(object, events.as_deref(), now))
}

/// The objects that a description asks for; kinds that the server doesn't have give none.
async fn list(context: &Context, query: &api::kind::Query, chunk: i64) -> Result<Vec<Value>> {
    let word = if query.group.is_empty() {
        query.plural.to_owned()
    } else {
        format!("{}.{}", query.plural, query.group)
    };
    let Some(resource) = context.discovery().await?.find(&word).cloned() else {
        return Ok(Vec::new());
    };
    let request = Request::get(resource.path(query.namespace.as_deref()))
        .query("fieldSelector", query.fields.as_str())
        .query("labelSelector", query.labels.as_str());
    match target::chunks(context, request, &resource, chunk).await {
        Ok(listed) => Ok(listed.into_iter().map(|i| i.object).collect()),
        // What the user may not see is left out, as kubectl does.
        Err(error) if error.reason() == "Forbidden" => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The events of an object.
async fn events(context: &Context, object: &Value, chunk: i64) -> Result<Vec<Value>> {
    let fields = [
        ("involvedObject.name", api::meta::name(object)),
        ("involvedObject.namespace", api::meta::namespace(object)),
        (
            "involvedObject.kind",
            object["kind"].as_str().unwrap_or_default(),
        ),
        ("involvedObject.uid", api::meta::uid(object)),
    ];
    let fields: Vec<String> = fields.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let query = api::kind::Query {
        plural: "events",
        namespace: Some(api::meta::namespace(object).to_owned()).filter(|n| !n.is_empty()),
        fields: fields.join(","),
        ..api::kind::Query::default()
    };
    list(context, &query, chunk).await
}
