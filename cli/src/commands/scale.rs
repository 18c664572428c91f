//! `scale`: sets the number of replicas through the `scale` subresource.

use clap::Args;
use http::Method;
use jiff::SignedDuration;
use serde_json::json;

use crate::args::{DryRun, DryRunFlag, Files, Print};
use crate::client::Request;
use crate::context::{Context, line};
use crate::duration;
use crate::error::{Error, Result};
use crate::printer::{self, Format};
use crate::target::{self, Spec, Wanted};

/// Set a new size for a deployment, replica set, replication controller, or stateful set.
#[derive(Args, Clone, Debug)]
pub(crate) struct Scale {
    /// Types and names: deploy web, rs/x
    words: Vec<String>,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    print: Print,
    /// All objects of the types given
    #[arg(long)]
    all: bool,
    /// Only if there are this many; -1 for no such condition
    #[arg(long, default_value_t = -1)]
    current_replicas: i64,
    #[command(flatten)]
    dry_run: DryRunFlag,
    /// The number of replicas
    #[arg(long)]
    replicas: Option<i64>,
    /// Only if the object has this version
    #[arg(long)]
    resource_version: Option<String>,
    /// Only objects whose labels fit
    #[arg(long, short = 'l')]
    selector: Option<String>,
    /// How long to wait for the replicas; 0 does not wait
    #[arg(long, value_parser = duration::parse, default_value = "0s")]
    timeout: SignedDuration,
}

impl Scale {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let dry_run = self.dry_run.get()?;
        let format = Format::parse(&self.print, false)?;
        let replicas = match self.replicas {
            None => return Err("required flag(s) \"replicas\" not set".into()),
            Some(count) if count < 0 => return Err("The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0".into()),
            Some(count) => count,
        };
        let spec = Spec {
            words: self.words.clone(),
            files: self.files.clone(),
            labels: self.selector.clone().unwrap_or_default(),
            all: self.all,
            ..Spec::default()
        };
        let (found, mut errors) = target::objects(context, &spec).await?;
        if found.is_empty() && errors.is_empty() {
            return Err("no objects passed to scale".into());
        }
        for wanted in found {
            if let Err(error) = self.one(context, &wanted, replicas, dry_run, &format).await {
                errors.push(error);
            }
        }
        Error::many(errors)
    }

    async fn one(
        &self,
        context: &Context,
        wanted: &Wanted,
        replicas: i64,
        dry_run: DryRun,
        format: &Format,
    ) -> Result<()> {
        let path = format!("{}/scale", wanted.path());
        let client = context.client()?;
        if dry_run != DryRun::Client {
            let mut body = json!({"spec": {"replicas": replicas}});
            if self.current_replicas >= 0 || self.resource_version.is_some() {
                let scale = client.json(Request::get(path.as_str())).await?;
                let is = scale["spec"]["replicas"].as_i64().unwrap_or(0);
                if self.current_replicas >= 0 && is != self.current_replicas {
                    return Err(format!(
                        "Expected replicas to be {}, was {is}",
                        self.current_replicas
                    )
                    .into());
                }
                let version = api::meta::resource_version(&scale);
                if let Some(wanted) = self.resource_version.as_deref().filter(|w| *w != version) {
                    return Err(
                        format!("Expected resource version to be {wanted}, was {version}").into(),
                    );
                }
                body["metadata"]["resourceVersion"] = version.into();
            }
            let dry = if dry_run == DryRun::Server { "All" } else { "" };
            let request = Request::with_body(
                Method::PATCH,
                path.as_str(),
                "application/merge-patch+json",
                &body,
            );
            client.json(request.query("dryRun", dry)).await?;
        }
        self.wait(context, wanted, replicas, dry_run).await?;
        if format.is_human() {
            return line(&format!("{} scaled{}", wanted.display(), dry_run.suffix()));
        }
        let object = wanted.fetch(context).await?;
        printer::outcome(format, &self.print, &object, &wanted.resource, "scaled")
    }

    async fn wait(
        &self,
        context: &Context,
        wanted: &Wanted,
        replicas: i64,
        dry_run: DryRun,
    ) -> Result<()> {
        let timeout = duration::positive(self.timeout);
        if timeout.is_zero() || dry_run != DryRun::None {
            return Ok(());
        }
        let there = |object: &serde_json::Value| {
            object["status"]["replicas"].as_i64().unwrap_or(0) == replicas
        };
        let until =
            crate::target::watch::until(context, wanted, |object| object.is_some_and(there));
        tokio::time::timeout(timeout, until)
            .await
            .map_err(|_| {
                Error::Plain(format!(
                    "timed out waiting for {:?} to be synced",
                    wanted.name
                ))
            })?
            .map(drop)
    }
}
