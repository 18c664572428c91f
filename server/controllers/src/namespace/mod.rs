//! The namespace controller: empties a namespace that is being deleted, and lets it go when nothing
//! is left.
//!
//! Watches namespaces. What remains is looked for again after a delay, as objects of any kind may be
//! waiting for somebody's finalizer.

pub(crate) mod plan;

use std::time::Duration;

use client::object;
use client::{Queue, queue};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube::core::PartialObjectMeta;
use kube::{Api, api::ObjectList};

use crate::Context;
use crate::discovery::{self, Kind};
use plan::{Content, Observed};

/// How many namespaces are emptied at a time.
const WORKERS: usize = 5;
/// How many objects one request looks at to see what remains.
const PAGE: u32 = 500;

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context) {
    let queue = Queue::default();
    let namespaces = &context.views.namespaces;
    let keys = queue.clone();
    namespaces.handle(move |change| {
        let meta = &change.object().metadata;
        if meta.deletion_timestamp.is_some() {
            keys.add(meta.name.clone().unwrap_or_default());
        }
    });
    let shutdown = context.shutdown.clone();
    queue::work(queue, WORKERS, shutdown, |name| sync(&context, name)).await;
}

async fn sync(context: &Context, name: String) -> kube::Result<Option<Duration>> {
    let all: Api<Namespace> = Api::all(context.client.clone());
    let Some(namespace) = all.get_opt(&name).await? else {
        return Ok(None);
    };
    if !plan::is_to_be_emptied(&namespace) {
        return Ok(None);
    }
    let contents = empty(context, &name).await;
    let plan = plan::plan(&Observed {
        namespace: namespace.clone(),
        contents,
        now: Timestamp::now(),
    });
    crate::status::write(&all, &namespace, |n| n.status = Some(plan.status)).await?;
    if let Some(finalizers) = plan.finalize {
        finalize(context, &namespace, &finalizers).await?;
        return Ok(None);
    }
    Ok(plan.again_in_millis.map(Duration::from_millis))
}

/// Deletes everything in a namespace and reports what is left.
async fn empty(context: &Context, namespace: &str) -> Result<Vec<Content>, String> {
    let client = &context.client;
    let kinds = discovery::kinds(client)
        .await
        .map_err(|e| object::message(&e))?;
    let namespaced = kinds.iter().filter(|kind| kind.namespaced);
    let each = namespaced.map(|kind| empty_kind(client, namespace, kind));
    Ok(futures::future::join_all(each).await)
}

async fn empty_kind(client: &kube::Client, namespace: &str, kind: &Kind) -> Content {
    let objects: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), namespace, &kind.resource);
    let resource = match kind.resource.group.as_str() {
        "" => kind.resource.plural.clone(),
        group => format!("{}.{group}", kind.resource.plural),
    };
    let mut content = Content {
        resource,
        ..Content::default()
    };
    if let Err(error) = remove_all(&objects, kind, &mut content).await {
        content.error = Some(object::message(&error));
    }
    content
}

async fn remove_all(
    objects: &Api<DynamicObject>,
    kind: &Kind,
    content: &mut Content,
) -> kube::Result<()> {
    let page = ListParams::default().limit(PAGE);
    let present = objects.list_metadata(&page).await?;
    if present.items.is_empty() {
        return Ok(());
    }
    let params = DeleteParams::background();
    if kind.deletes_collections {
        objects
            .delete_collection(&params, &ListParams::default())
            .await?;
    } else {
        for object in &present.items {
            let name = object.metadata.name.as_deref().unwrap_or_default();
            match objects.delete(name, &params).await {
                Err(error) if !object::is_not_found(&error) => return Err(error),
                _ => {}
            }
        }
    }
    let left = objects.list_metadata(&page).await?;
    count(&left, content);
    Ok(())
}

fn count(left: &ObjectList<PartialObjectMeta<DynamicObject>>, content: &mut Content) {
    let beyond = left.metadata.remaining_item_count.unwrap_or(0);
    content.remaining = left.items.len() + usize::try_from(beyond).unwrap_or(0);
    for object in &left.items {
        for finalizer in object.metadata.finalizers.iter().flatten() {
            *content.finalizers.entry(finalizer.clone()).or_default() += 1;
        }
    }
}

/// Replaces the finalizers of the spec, through the subresource that alone may.
async fn finalize(
    context: &Context,
    namespace: &Namespace,
    finalizers: &[String],
) -> kube::Result<()> {
    let all: Api<Namespace> = Api::all(context.client.clone());
    let name = namespace.metadata.name.as_deref().unwrap_or_default();
    let mut done = namespace.clone();
    // The status was just written, under another version.
    done.metadata.resource_version = None;
    done.metadata.managed_fields = None;
    done.spec.get_or_insert_default().finalizers = Some(finalizers.to_vec());
    let params = kube::api::PostParams::default();
    match all
        .replace_subresource("finalize", name, &params, &done)
        .await
    {
        Err(error) if object::is_not_found(&error) => Ok(()),
        other => other.map(drop),
    }
}
