//! `rollout status`: what is still to come, until all is done.

use clap::Args;
use jiff::SignedDuration;
use serde_json::Value;

use crate::args::Files;
use crate::context::{Context, note, print};
use crate::duration;
use crate::error::{Error, Result};
use crate::target::{Wanted, watch};

/// Show the status of the rollout.
#[derive(Args, Clone, Debug)]
pub(crate) struct Status {
    /// Types and names: deploy web, ds/x
    words: Vec<String>,
    #[command(flatten)]
    files: Files,
    /// The revision that must be the latest; 0 for any
    #[arg(long, default_value_t = 0)]
    revision: i64,
    /// Only objects whose labels fit
    #[arg(long, short = 'l')]
    selector: Option<String>,
    /// How long to wait; 0 is as long as it takes
    #[arg(long, value_parser = duration::parse, default_value = "0s")]
    timeout: SignedDuration,
    /// Wait for the end
    #[arg(long, short = 'w', action = clap::ArgAction::Set, default_value_t = true)]
    watch: bool,
}

/// The state of a rollout: what to say, and whether it is over.
type State = Result<(String, bool)>;

impl Status {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let (found, errors) =
            super::objects(context, &self.words, &self.files, self.selector.as_ref()).await?;
        Error::many(errors)?;
        if found.is_empty() {
            note(&format!(
                "No resources found in {} namespace.",
                context.namespace()?
            ));
        }
        let timeout = duration::positive(self.timeout);
        let mut errors = Vec::new();
        for wanted in found {
            let follow = self.follow(context, &wanted);
            // Each has the whole time.
            let followed = if timeout.is_zero() {
                follow.await
            } else {
                let in_time = tokio::time::timeout(timeout, follow).await;
                in_time.unwrap_or_else(|_| Err("timed out waiting for the condition".into()))
            };
            errors.extend(followed.err());
        }
        Error::many(errors)
    }

    async fn follow(&self, context: &Context, wanted: &Wanted) -> Result<()> {
        let (message, done) = self.state(&wanted.object)?;
        print(&message)?;
        if done || !self.watch {
            return Ok(());
        }
        let mut last = message;
        let mut problem = None;
        watch::until(context, wanted, |object| {
            let Some(object) = object else {
                problem = Some(Error::from("object has been deleted"));
                return true;
            };
            let state = self.state(object).and_then(|(message, done)| {
                if message != last {
                    print(&message)?;
                    last = message;
                }
                Ok(done)
            });
            state.unwrap_or_else(|error| {
                problem = Some(error);
                true
            })
        })
        .await?;
        problem.map_or(Ok(()), Err)
    }

    fn state(&self, object: &Value) -> State {
        match object["kind"].as_str() {
            Some("DaemonSet") => daemon_set(object),
            Some("StatefulSet") => stateful_set(object),
            Some("Deployment") => self.deployment(object),
            // Objects out of a list have no kind; only one of the three has this field.
            _ if object["spec"]["progressDeadlineSeconds"].is_i64() => self.deployment(object),
            _ if object["status"]["desiredNumberScheduled"].is_i64() => daemon_set(object),
            _ if object["spec"]["serviceName"].is_string() => stateful_set(object),
            other => Err(format!(
                "no status viewer has been implemented for {}",
                other.unwrap_or_default()
            )
            .into()),
        }
    }

    fn deployment(&self, object: &Value) -> State {
        let name = api::meta::name(object);
        if self.revision > 0 {
            let is = api::meta::annotation(object, "deployment.kubernetes.io/revision")
                .unwrap_or_default();
            if is != self.revision.to_string() {
                return Err(format!(
                    "desired revision ({}) is different from the running revision ({is})",
                    self.revision
                )
                .into());
            }
        }
        if !observed(object) {
            return Ok((
                "Waiting for deployment spec update to be observed...\n".into(),
                false,
            ));
        }
        let conditions = object["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten();
        if conditions
            .filter(|c| c["type"] == "Progressing")
            .any(|c| c["reason"] == "ProgressDeadlineExceeded")
        {
            return Err(format!("deployment {name:?} exceeded its progress deadline").into());
        }
        let count = |field: &str| object["status"][field].as_i64().unwrap_or(0);
        let wanted = object["spec"]["replicas"].as_i64().unwrap_or(0);
        let (updated, all, available) = (
            count("updatedReplicas"),
            count("replicas"),
            count("availableReplicas"),
        );
        let waiting = format!("Waiting for deployment {name:?} rollout to finish:");
        Ok(if updated < wanted {
            (
                format!("{waiting} {updated} out of {wanted} new replicas have been updated...\n"),
                false,
            )
        } else if all > updated {
            (
                format!(
                    "{waiting} {} old replicas are pending termination...\n",
                    all - updated
                ),
                false,
            )
        } else if available < updated {
            (
                format!("{waiting} {available} of {updated} updated replicas are available...\n"),
                false,
            )
        } else {
            (
                format!("deployment {name:?} successfully rolled out\n"),
                true,
            )
        })
    }
}

fn observed(object: &Value) -> bool {
    api::meta::generation(object) <= object["status"]["observedGeneration"].as_i64().unwrap_or(0)
}

fn daemon_set(object: &Value) -> State {
    if object["spec"]["updateStrategy"]["type"] != "RollingUpdate" {
        return Err("rollout status is only available for RollingUpdate strategy type".into());
    }
    if !observed(object) {
        return Ok((
            "Waiting for daemon set spec update to be observed...\n".into(),
            false,
        ));
    }
    let name = api::meta::name(object);
    let count = |field: &str| object["status"][field].as_i64().unwrap_or(0);
    let (wanted, updated, available) = (
        count("desiredNumberScheduled"),
        count("updatedNumberScheduled"),
        count("numberAvailable"),
    );
    let waiting = format!("Waiting for daemon set {name:?} rollout to finish:");
    Ok(if updated < wanted {
        (
            format!("{waiting} {updated} out of {wanted} new pods have been updated...\n"),
            false,
        )
    } else if available < wanted {
        (
            format!("{waiting} {available} of {wanted} updated pods are available...\n"),
            false,
        )
    } else {
        (
            format!("daemon set {name:?} successfully rolled out\n"),
            true,
        )
    })
}

fn stateful_set(object: &Value) -> State {
    let strategy = &object["spec"]["updateStrategy"];
    if strategy["type"] != "RollingUpdate" {
        return Err("rollout status is only available for RollingUpdate strategy type".into());
    }
    if !observed(object) {
        return Ok((
            "Waiting for statefulset spec update to be observed...\n".into(),
            false,
        ));
    }
    let count = |field: &str| object["status"][field].as_i64().unwrap_or(0);
    let wanted = object["spec"]["replicas"].as_i64().unwrap_or(0);
    let (ready, updated) = (count("readyReplicas"), count("updatedReplicas"));
    if ready < wanted {
        return Ok((
            format!("Waiting for {} pods to be ready...\n", wanted - ready),
            false,
        ));
    }
    let partition = strategy["rollingUpdate"]["partition"].as_i64().unwrap_or(0);
    if partition > 0 {
        return Ok(if updated < wanted - partition {
            (
                format!(
                    "Waiting for partitioned roll out to finish: {updated} out of {} new pods have been updated...\n",
                    wanted - partition
                ),
                false,
            )
        } else {
            (
                format!("partitioned roll out complete: {updated} new pods have been updated...\n"),
                true,
            )
        });
    }
    let (update, current) = (
        &object["status"]["updateRevision"],
        &object["status"]["currentRevision"],
    );
    let revision = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if update != current {
        return Ok((
            format!(
                "waiting for statefulset rolling update to complete {updated} pods at revision {}...\n",
                revision(update)
            ),
            false,
        ));
    }
    Ok((
        format!(
            "statefulset rolling update complete {} pods at revision {}...\n",
            count("currentReplicas"),
            revision(current)
        ),
        true,
    ))
}
