//! `create job` and `create cronjob`.

use clap::Args;
use serde_json::{Value, json};

use super::Common;
use super::generators::one;
use crate::client::Request;
use crate::context::Context;
use crate::error::Result;

/// A job of one container, or of a cron job's template.
#[derive(Args, Debug)]
pub(crate) struct Job {
    /// The name
    words: Vec<String>,
    /// The command, after --
    #[arg(last = true)]
    command: Vec<String>,
    /// The cron job to run now, as cronjob/NAME
    #[arg(long)]
    from: Option<String>,
    /// The image
    #[arg(long)]
    image: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Job {
    pub(super) async fn object(&self, context: &Context) -> Result<Value> {
        let name = one(&self.words, "job")?;
        match (&self.image, &self.from) {
            (Some(image), None) => Ok(json!({
                "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
                "spec": template(name, image, &self.command, "Never"), "status": {},
            })),
            (None, Some(_)) if !self.command.is_empty() => {
                Err("cannot specify --from and command".into())
            }
            (None, Some(source)) => from_cron_job(context, name, source).await,
            _ => Err("either --image or --from must be specified".into()),
        }
    }
}

/// The job that a cron job would make, owned by it.
async fn from_cron_job(context: &Context, name: &str, source: &str) -> Result<Value> {
    let (kind, from) = source.split_once('/').unwrap_or(("cronjob", source));
    let resource = context.resource(kind).await?;
    if resource.kind != "CronJob" {
        return Err("from must be an existing cronjob".into());
    }
    let path = resource.object_path(&context.namespace()?, from);
    let owner = context.client()?.json(Request::get(path)).await?;
    let template = &owner["spec"]["jobTemplate"];
    let mut annotations = json!({"cronjob.kubernetes.io/instantiate": "manual"});
    for (key, value) in template["metadata"]["annotations"]
        .as_object()
        .into_iter()
        .flatten()
    {
        annotations[key] = value.clone();
    }
    let mut job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": name, "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": "batch/v1", "kind": "CronJob", "controller": true,
                "name": api::meta::name(&owner), "uid": api::meta::uid(&owner),
            }],
        },
        "spec": template["spec"], "status": {},
    });
    if let Some(labels) = template["metadata"].get("labels") {
        job["metadata"]["labels"] = labels.clone();
    }
    Ok(job)
}

/// A job of one container at given times.
#[derive(Args, Debug)]
pub(crate) struct CronJob {
    /// The name
    words: Vec<String>,
    /// The command, after --
    #[arg(last = true)]
    command: Vec<String>,
    /// The image
    #[arg(long)]
    image: Option<String>,
    /// Whether a pod that failed starts again: OnFailure or Never
    #[arg(long, default_value = "OnFailure")]
    restart: String,
    /// When to run, in the form of cron
    #[arg(long)]
    schedule: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl CronJob {
    pub(super) fn object(&self) -> Result<Value> {
        let (Some(image), Some(schedule)) = (&self.image, &self.schedule) else {
            let flags = [("\"image\"", &self.image), ("\"schedule\"", &self.schedule)];
            let missing = flags.iter().filter(|(_, flag)| flag.is_none());
            let missing: Vec<&str> = missing.map(|(name, _)| *name).collect();
            return Err(format!("required flag(s) {} not set", missing.join(", ")).into());
        };
        let name = one(&self.words, "cronjob")?;
        let spec = template(name, image, &self.command, &self.restart);
        Ok(json!({
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name},
            "spec": {"schedule": schedule, "jobTemplate": {"metadata": {"name": name}, "spec": spec}},
            "status": {},
        }))
    }
}

/// The spec of a job with one container.
fn template(name: &str, image: &str, command: &[String], restart: &str) -> Value {
    let mut container = json!({"name": name, "image": image, "resources": {}});
    if !command.is_empty() {
        container["command"] = command.into();
    }
    json!({"template": {
        "metadata": {}, "spec": {"containers": [container], "restartPolicy": restart},
    }})
}
