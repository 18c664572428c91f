//! `rollout`: how deployments, daemon sets and stateful sets come to a new state, and back.

mod change;
mod history;
mod status;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::args::{DryRunFlag, Files, Print};
use crate::client::Request;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::target::{self, Spec, Wanted};

/// Manage the rollout of one or many resources.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(crate) struct Rollout {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// View rollout history
    History(history::History),
    /// Mark the provided resource as paused
    Pause(Change),
    /// Restart a resource
    Restart(Change),
    /// Resume a paused resource
    Resume(Change),
    /// Show the status of the rollout
    Status(status::Status),
    /// Undo a previous rollout
    Undo(Undo),
}

/// The flags of pause, restart and resume.
#[derive(Args, Clone, Debug)]
pub(crate) struct Change {
    /// Types and names: deploy web, ds/x
    words: Vec<String>,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    print: Print,
    /// The name under which fields are owned
    #[arg(long, default_value = "kubectl-rollout")]
    field_manager: String,
    /// Only objects whose labels fit
    #[arg(long, short = 'l')]
    selector: Option<String>,
}

/// The flags of undo.
#[derive(Args, Clone, Debug)]
pub(crate) struct Undo {
    /// Types and names: deploy web, ds/x
    words: Vec<String>,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    print: Print,
    #[command(flatten)]
    dry_run: DryRunFlag,
    /// Only objects whose labels fit
    #[arg(long, short = 'l')]
    selector: Option<String>,
    /// The revision to go back to; 0 is the one before
    #[arg(long, default_value_t = 0)]
    to_revision: i64,
}

impl Rollout {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        match self.command {
            Command::History(command) => command.run(context).await,
            Command::Pause(command) => change::run(context, command, change::Verb::Pause).await,
            Command::Restart(command) => change::run(context, command, change::Verb::Restart).await,
            Command::Resume(command) => change::run(context, command, change::Verb::Resume).await,
            Command::Status(command) => command.run(context).await,
            Command::Undo(command) => change::undo(context, command).await,
        }
    }
}

/// The objects that words, files or a selector name; a type alone means all of its objects.
async fn objects(
    context: &Context,
    words: &[String],
    files: &Files,
    selector: Option<&String>,
) -> Result<(Vec<Wanted>, Vec<Error>)> {
    if words.is_empty() && files.filename.is_empty() && files.kustomize.is_none() {
        return Err("required resource not specified".into());
    }
    let spec = Spec {
        words: words.to_vec(),
        files: files.clone(),
        labels: selector.cloned().unwrap_or_default(),
        all: true,
        ..Spec::default()
    };
    target::objects(context, &spec).await
}

/// The revisions of a thing, oldest first: number and the object that holds it. `task` is what they
/// are wanted for, in the words of kubectl.
async fn revisions(context: &Context, wanted: &Wanted, task: &str) -> Result<Vec<(i64, Value)>> {
    let kind = wanted.resource.kind.as_str();
    let plural = match kind {
        "Deployment" => "replicasets",
        "DaemonSet" | "StatefulSet" => "controllerrevisions",
        _ => {
            let group = &wanted.resource.group;
            let shown = format!("{kind}.{group}");
            return Err(format!(
                "error retrieving {task} for {:?}, no visitor method exists for {{{group} {kind}}}",
                shown.trim_end_matches('.')
            )
            .into());
        }
    };
    let selector = api::meta::selector::Labels::from_selector(&wanted.object["spec"]["selector"])?;
    let path = format!("/apis/apps/v1/namespaces/{}/{plural}", wanted.namespace);
    let list = context
        .client()?
        .json(Request::get(path).query("labelSelector", selector.to_string()))
        .await?;
    let uid = api::meta::uid(&wanted.object);
    let mut found: Vec<(i64, Value)> = list["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|item| api::meta::controller_of(item).is_some_and(|owner| owner.uid == uid))
        .filter_map(|item| Some((number(item, kind)?, item.clone())))
        .collect();
    // Objects of a list don't say what they are.
    for (_, item) in &mut found {
        item["apiVersion"] = "apps/v1".into();
        item["kind"] = if kind == "Deployment" {
            "ReplicaSet".into()
        } else {
            "ControllerRevision".into()
        };
    }
    found.sort_by_key(|(number, _)| *number);
    Ok(found)
}

fn number(item: &Value, kind: &str) -> Option<i64> {
    if kind == "Deployment" {
        return api::meta::annotation(item, "deployment.kubernetes.io/revision")?
            .parse()
            .ok();
    }
    item["revision"].as_i64()
}

/// The pod template of a revision.
fn template(item: &Value, kind: &str) -> Value {
    if kind == "Deployment" {
        item["spec"]["template"].clone()
    } else {
        item["data"]["spec"]["template"].clone()
    }
}
