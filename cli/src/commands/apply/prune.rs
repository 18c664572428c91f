//! `apply --prune`: deletes what an earlier apply made and the files no longer hold.

use std::collections::BTreeSet;

use http::Method;
use serde_json::json;

use super::{Apply, LAST_APPLIED};
use crate::args::DryRun;
use crate::client::Request;
use crate::client::discovery::Resource;
use crate::commands::delete;
use crate::context::Context;
use crate::error::Result;
use crate::printer::{self, Format};
use crate::target;

/// The kinds that are looked through unless the user names others: API version and kind.
const DEFAULT: [(&str, &str); 16] = [
    ("v1", "ConfigMap"),
    ("v1", "Endpoints"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Pod"),
    ("v1", "ReplicationController"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("networking.k8s.io/v1", "Ingress"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "StatefulSet"),
    ("v1", "Namespace"),
    ("v1", "PersistentVolume"),
];

/// What was applied: nothing of it is pruned.
#[derive(Default)]
pub(super) struct Visited {
    /// The uids of the objects.
    pub(super) uids: BTreeSet<String>,
    /// The namespaces that they are in.
    pub(super) namespaces: BTreeSet<String>,
}

/// Complains about flags that don't go together, before anything is applied.
pub(super) fn check(flags: &Apply) -> Result<()> {
    let selector = flags.selector.as_deref().unwrap_or_default();
    if flags.all && !selector.is_empty() {
        return Err("cannot set --all and --selector at the same time".into());
    }
    if !flags.prune {
        return Ok(());
    }
    if flags.force {
        return Err("--force cannot be used with --prune".into());
    }
    if !flags.all && selector.is_empty() {
        return Err("all resources selected for prune without explicitly passing --all. To prune all resources, pass the --all flag. If you did not mean to prune all resources, specify a label selector".into());
    }
    if flags.server_side {
        return Err("--prune is in alpha and doesn't currently work on objects created by server-side apply".into());
    }
    Ok(())
}

/// The kinds to look through.
pub(super) async fn kinds(flags: &Apply, context: &Context) -> Result<Vec<Resource>> {
    let mut found = Vec::new();
    if flags.prune_allowlist.is_empty() {
        for (version, kind) in DEFAULT {
            let object = json!({"apiVersion": version, "kind": kind});
            // A server without a kind has no objects of it.
            found.extend(context.discovery().await?.of_object(&object).cloned());
        }
        return Ok(found);
    }
    for text in &flags.prune_allowlist {
        let [group, version, kind] = text.split('/').collect::<Vec<_>>()[..] else {
            return Err(format!(
                "invalid GroupVersionKind format: {text}, please follow <group/version/kind>"
            )
            .into());
        };
        let version = match group {
            "core" | "" => version.to_owned(),
            group => format!("{group}/{version}"),
        };
        let object = json!({"apiVersion": version, "kind": kind});
        let resource = context.resource_of(&object).await?;
        found.push(
            resource
                .ok_or_else(|| format!("no matches for kind {kind:?} in version {version:?}"))?,
        );
    }
    Ok(found)
}

/// Deletes the objects of those kinds that an apply made, but not this one.
pub(super) async fn run(
    flags: &Apply,
    context: &Context,
    kinds: &[Resource],
    visited: &Visited,
    format: &Format,
) -> Result<()> {
    let namespaced = kinds.iter().filter(|kind| kind.namespaced);
    let namespaced: Vec<&Resource> = namespaced.collect();
    for namespace in &visited.namespaces {
        for kind in &namespaced {
            prune(flags, context, kind, namespace, visited, format).await?;
        }
    }
    for kind in kinds.iter().filter(|kind| !kind.namespaced) {
        prune(flags, context, kind, "", visited, format).await?;
    }
    Ok(())
}

async fn prune(
    flags: &Apply,
    context: &Context,
    kind: &Resource,
    namespace: &str,
    visited: &Visited,
    format: &Format,
) -> Result<()> {
    let dry_run = flags.dry_run.get()?;
    let propagation = delete::propagation(&flags.cascade)?;
    let request = Request::get(kind.path(Some(namespace)))
        .query("labelSelector", flags.selector.clone().unwrap_or_default());
    let list = context.client()?.json(request).await?;
    for item in target::items(&list, kind) {
        let applied = api::meta::annotation(&item.object, LAST_APPLIED).is_some();
        if !applied || visited.uids.contains(api::meta::uid(&item.object)) {
            continue;
        }
        if dry_run != DryRun::Client {
            let mut options = json!({
                "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation,
            });
            if flags.grace_period >= 0 {
                options["gracePeriodSeconds"] = flags.grace_period.into();
            }
            if dry_run == DryRun::Server {
                options["dryRun"] = json!(["All"]);
            }
            context
                .client()?
                .json(Request::send(Method::DELETE, item.path(), &options))
                .await?;
        }
        let message = format!("pruned{}", dry_run.suffix());
        printer::outcome(format, &flags.print, &item.object, kind, &message)?;
    }
    Ok(())
}
