//! `rollout pause|resume|restart|undo`: patches of the thing that is rolled out.

use http::Method;
use serde_json::{Value, json};

use super::{Change, Undo};
use crate::args::DryRun;
use crate::client::Request;
use crate::commands::apply::LAST_APPLIED;
use crate::context::{Context, note, print};
use crate::error::{Error, Result};
use crate::printer::{self, Format};
use crate::target::Wanted;

/// The annotation of the template that makes its pods new ones.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// Stop rolling out.
    Pause,
    /// Replace every pod.
    Restart,
    /// Go on rolling out.
    Resume,
}

/// Pauses, resumes or restarts.
pub(super) async fn run(context: &Context, flags: Change, verb: Verb) -> Result<()> {
    let format = Format::parse(&flags.print, false)?;
    let (found, mut errors) =
        super::objects(context, &flags.words, &flags.files, flags.selector.as_ref()).await?;
    for wanted in found {
        if let Err(error) = one(context, &flags, &format, &wanted, verb).await {
            errors.push(error);
        }
    }
    Error::many(errors)
}

async fn one(
    context: &Context,
    flags: &Change,
    format: &Format,
    wanted: &Wanted,
    verb: Verb,
) -> Result<()> {
    let (patch, word) = patch(wanted, verb)?;
    let request = Request::with_body(
        Method::PATCH,
        wanted.path(),
        "application/strategic-merge-patch+json",
        &patch,
    );
    let object = context
        .client()?
        .json(request.query("fieldManager", flags.field_manager.as_str()))
        .await?;
    printer::outcome(format, &flags.print, &object, &wanted.resource, word)
}

fn patch(wanted: &Wanted, verb: Verb) -> Result<(Value, &'static str)> {
    let thing = format!("{} {:?}", wanted.resource.qualified(), wanted.name);
    let kind = wanted.resource.kind.as_str();
    let paused = wanted.object["spec"]["paused"].as_bool().unwrap_or(false);
    match verb {
        Verb::Restart if kind == "Deployment" && paused => Err(format!(
            "{thing} can't restart paused deployment (run rollout resume first)"
        )
        .into()),
        Verb::Restart if matches!(kind, "Deployment" | "DaemonSet" | "StatefulSet") => {
            let now = jiff::Zoned::now()
                .round(jiff::Unit::Second)
                .map_err(|e| e.to_string())?;
            let now = now
                .strftime("%Y-%m-%dT%H:%M:%S%:z")
                .to_string()
                .replace("+00:00", "Z");
            let template = &wanted.object["spec"]["template"];
            if api::meta::annotation(template, RESTARTED) == Some(now.as_str()) {
                return Err(format!(
                    "failed to create patch for {}: if restart has already been triggered within the past second, please wait before attempting to trigger another",
                    wanted.name
                )
                .into());
            }
            let annotations = json!({RESTARTED: now});
            Ok((
                json!({"spec": {"template": {"metadata": {"annotations": annotations}}}}),
                "restarted",
            ))
        }
        Verb::Restart => Err(format!("{thing} restarting is not supported").into()),
        Verb::Pause | Verb::Resume if kind != "Deployment" => {
            let word = if verb == Verb::Pause {
                "pausing"
            } else {
                "resuming"
            };
            Err(format!("{thing} {word} is not supported").into())
        }
        Verb::Pause if paused => Err(format!("{thing} is already paused").into()),
        Verb::Resume if !paused => Err(format!("{thing} is not paused").into()),
        Verb::Pause => Ok((json!({"spec": {"paused": true}}), "paused")),
        Verb::Resume => Ok((json!({"spec": {"paused": null}}), "resumed")),
    }
}

/// Goes back to an earlier revision.
pub(super) async fn undo(context: &Context, flags: Undo) -> Result<()> {
    let dry_run = flags.dry_run.get()?;
    let format = Format::parse(&flags.print, false)?;
    let (found, mut errors) =
        super::objects(context, &flags.words, &flags.files, flags.selector.as_ref()).await?;
    for wanted in found {
        if let Err(error) = undo_one(context, &flags, &format, &wanted, dry_run).await {
            errors.push(error);
        }
    }
    Error::many(errors)
}

async fn undo_one(
    context: &Context,
    flags: &Undo,
    format: &Format,
    wanted: &Wanted,
    dry_run: DryRun,
) -> Result<()> {
    let kind = wanted.resource.kind.as_str();
    if api::meta::annotation(&wanted.object, LAST_APPLIED).is_some() {
        note(&format!(
            "Warning: resource {}/{} was previously managed with 'ctl apply'. Rolling back will not update the {LAST_APPLIED} annotation, which may cause unexpected behavior on future 'ctl apply' operations. Consider using 'ctl apply' with your previous configuration file instead.",
            wanted.resource.plural, wanted.name
        ));
    }
    if wanted.object["spec"]["paused"] == true {
        return Err("you cannot rollback a paused deployment; resume it first with 'ctl rollout resume' and try again".into());
    }
    let missing = || {
        let revision = flags.to_revision;
        Error::Plain(format!(
            "unable to find specified revision {revision} in history"
        ))
    };
    if flags.to_revision < 0 {
        return Err(missing());
    }
    let revisions = super::revisions(context, wanted, "rollbacker").await?;
    let target = if flags.to_revision == 0 {
        let Some(before) = revisions.len().checked_sub(2) else {
            return Err(format!(
                "no rollout history found for {} {:?}",
                kind.to_lowercase(),
                wanted.name
            )
            .into());
        };
        &revisions[before]
    } else {
        let found = revisions.iter().find(|(n, _)| *n == flags.to_revision);
        found.ok_or_else(missing)?
    };
    let mut template = super::template(&target.1, kind);
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove("pod-template-hash");
    }
    if dry_run == DryRun::Client {
        // Only deployments are shown without these words.
        let verb = if kind == "Deployment" {
            ""
        } else {
            "will roll back to "
        };
        return print(&format!(
            "{} {verb}{} (dry run)\n",
            wanted.display(),
            api::kinds::pod_template(&super::template(&target.1, kind))
        ));
    }
    if template == wanted.object["spec"]["template"] {
        let message = format!(
            "skipped rollback (current template already matches revision {})",
            target.0
        );
        return printer::outcome(
            format,
            &flags.print,
            &wanted.object,
            &wanted.resource,
            &message,
        );
    }
    let dry = if dry_run == DryRun::Server { "All" } else { "" };
    let request = if kind == "Deployment" {
        let operations = json!([
            {"op": "replace", "path": "/spec/template", "value": template},
            {"op": "replace", "path": "/metadata/annotations", "value": annotations(wanted, &target.1)},
        ]);
        Request::with_body(
            Method::PATCH,
            wanted.path(),
            "application/json-patch+json",
            &operations,
        )
    } else {
        Request::with_body(
            Method::PATCH,
            wanted.path(),
            "application/strategic-merge-patch+json",
            &target.1["data"],
        )
    };
    let object = context.client()?.json(request.query("dryRun", dry)).await?;
    printer::outcome(
        format,
        &flags.print,
        &object,
        &wanted.resource,
        &format!("rolled back{}", dry_run.suffix()),
    )
}

/// The annotations after a rollback: the deployment's own bookkeeping stays, the rest is the revision's.
fn annotations(wanted: &Wanted, revision: &Value) -> Value {
    const OWN: [&str; 6] = [
        "kubectl.kubernetes.io/last-applied-configuration",
        "deployment.kubernetes.io/revision",
        "deployment.kubernetes.io/revision-history",
        "deployment.kubernetes.io/desired-replicas",
        "deployment.kubernetes.io/max-replicas",
        "deprecated.deployment.rollback.to",
    ];
    let mut merged = serde_json::Map::new();
    for (from, own) in [(&wanted.object, true), (revision, false)] {
        for (key, value) in api::meta::annotations(from) {
            if OWN.contains(&key.as_str()) == own {
                merged.insert(key, value.into());
            }
        }
    }
    Value::Object(merged)
}
