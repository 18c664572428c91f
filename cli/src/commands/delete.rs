//! `delete`: asks the server to delete, then waits until the objects are gone.

use std::time::{Duration, Instant};

use clap::Args;
use http::Method;
use jiff::SignedDuration;
use serde_json::json;

use crate::args::{DryRun, DryRunFlag, Files};
use crate::client::Request;
use crate::context::{Context, line, note};
use crate::duration;
use crate::error::{Error, Result};
use crate::target::{self, Spec, Wanted};

/// Delete resources by file names, stdin, resources and names, or by resources and label selector.
#[derive(Args, Clone, Debug)]
pub(crate) struct Delete {
    /// Types and names: pod x, po/x, pods
    words: Vec<String>,
    #[command(flatten)]
    files: Files,
    /// All objects of the types given
    #[arg(long)]
    all: bool,
    /// In all namespaces
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// What becomes of the objects' dependents: background, orphan or foreground
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "background", default_missing_value = "background")]
    cascade: String,
    #[command(flatten)]
    dry_run: DryRunFlag,
    /// Only objects whose fields fit
    #[arg(long)]
    field_selector: Option<String>,
    /// Delete at once, without the grace that a pod has to end
    #[arg(long)]
    force: bool,
    /// Seconds that the objects have to end; -1 leaves it to them
    #[arg(long, default_value_t = -1)]
    grace_period: i64,
    /// Say nothing about objects that don't exist
    #[arg(long)]
    ignore_not_found: bool,
    /// Ask before deleting
    #[arg(long, short = 'i')]
    interactive: bool,
    /// The same as --grace-period=1
    #[arg(long)]
    now: bool,
    /// name prints only names
    #[arg(long, short = 'o')]
    output: Option<String>,
    /// A path to delete
    #[arg(long)]
    raw: Option<String>,
    /// Only objects whose labels fit
    #[arg(long, short = 'l')]
    selector: Option<String>,
    /// How long to wait for the end; 0 is as long as it takes
    #[arg(long, value_parser = duration::parse, default_value = "0s")]
    timeout: SignedDuration,
    /// Wait for the end
    #[arg(long, action = clap::ArgAction::Set, default_value_t = true)]
    wait: bool,
}

impl Delete {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let dry_run = self.dry_run.get()?;
        if let Some(path) = &self.raw {
            let request = Request {
                method: Method::DELETE,
                ..Request::get(path.as_str())
            };
            let answer = context.client()?.bytes(request).await?;
            return crate::context::print(&String::from_utf8_lossy(&answer));
        }
        let grace = self.grace()?;
        let propagation = propagation(&self.cascade)?;
        let output = self.output.as_deref().unwrap_or_default();
        if !matches!(output, "" | "name") {
            return Err(
                format!("unexpected -o output mode: {output}. We only support '-o name'").into(),
            );
        }
        let ignore = self.ignore_not_found || self.all && self.field_selector.is_none();
        let timeout = duration::positive(self.timeout);
        let (found, mut errors) = self.find(context, ignore).await?;
        if self.interactive && !found.is_empty() && dry_run == DryRun::None && !confirm(&found)? {
            return Ok(());
        }
        if self.force && self.grace_period <= 0 && dry_run == DryRun::None && !found.is_empty()
            || self.force && grace == Some(0) && dry_run == DryRun::None
        {
            note(
                "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.",
            );
        }
        let mut gone = Vec::new();
        for wanted in found {
            match self
                .delete(context, &wanted, dry_run, grace, propagation)
                .await
            {
                Ok(uid) => {
                    self.say(&wanted, dry_run)?;
                    gone.push((wanted, uid));
                }
                Err(error) if ignore && error.is_not_found() => {}
                Err(error) if wanted.source.is_empty() => errors.push(error),
                Err(error) => {
                    errors.push(error.when(&format!("error when deleting {:?}", wanted.source)));
                }
            }
        }
        if gone.is_empty() && errors.is_empty() {
            if !ignore || self.words.len() == 1 && self.all {
                line("No resources found")?;
            }
            return Ok(());
        }
        if self.wait && !self.force && dry_run == DryRun::None {
            let timeout = if timeout.is_zero() {
                Duration::from_secs(168 * 3600)
            } else {
                timeout
            };
            let end = Instant::now() + timeout;
            let pending = gone
                .iter()
                .filter_map(|(w, uid)| Some((w, uid.as_deref()?)));
            for (wanted, uid) in pending {
                if let Err(error) = until_gone(context, wanted, Some(uid), end).await {
                    errors.push(error);
                    break;
                }
            }
        }
        Error::many(errors)
    }

    fn grace(&self) -> Result<Option<i64>> {
        if self.now {
            if self.grace_period != -1 {
                return Err("--now and --grace-period cannot be specified together".into());
            }
            return Ok(Some(1));
        }
        match (self.grace_period, self.force) {
            (0, false) => {
                // kubectl turns an immediate deletion that isn't forced into the gentlest one that is quick.
                Ok(Some(1))
            }
            (period, true) if period > 0 => {
                Err("--force and --grace-period greater than 0 cannot be specified together".into())
            }
            (_, true) => Ok(Some(0)),
            (period, false) if period < 0 => Ok(None),
            (period, false) => Ok(Some(period)),
        }
    }

    /// The objects to delete, and what could not be found.
    async fn find(&self, context: &Context, ignore: bool) -> Result<(Vec<Wanted>, Vec<Error>)> {
        let spec = Spec {
            words: self.words.clone(),
            files: self.files.clone(),
            labels: self.selector.clone().unwrap_or_default(),
            fields: self.field_selector.clone().unwrap_or_default(),
            all_namespaces: self.all_namespaces,
            all: self.all,
            ..Spec::default()
        };
        if self.all && !(spec.labels.is_empty() && spec.fields.is_empty()) {
            return Err("setting 'all' parameter but found a non empty selector. ".into());
        }
        let resolved = target::resolve(context, &spec).await?;
        // Whoever gives both may have meant one or all: neither is deleted.
        let by_name = resolved.wanted.iter().any(|w| !w.name.is_empty());
        if self.all && by_name && !self.words.is_empty() {
            let paired = self.words.iter().any(|w| w.contains('/'));
            return Err(if paired {
                "selectors and the all flag cannot be used when passing resource/name arguments"
            } else {
                "name cannot be provided when a selector is specified"
            }
            .into());
        }
        if resolved.wanted.iter().all(|w| !w.name.is_empty()) {
            return Ok((resolved.wanted, Vec::new()));
        }
        let (found, errors) = target::objects(context, &spec).await?;
        let errors = errors
            .into_iter()
            .filter(|e| !(ignore && e.is_not_found()))
            .collect();
        Ok((found, errors))
    }

    /// Sends the request; gives the uid of the object while it is still there.
    async fn delete(
        &self,
        context: &Context,
        wanted: &Wanted,
        dry_run: DryRun,
        grace: Option<i64>,
        propagation: &str,
    ) -> Result<Option<String>> {
        if dry_run == DryRun::Client {
            return Ok(None);
        }
        let mut options =
            json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation});
        if let Some(grace) = grace {
            options["gracePeriodSeconds"] = grace.into();
        }
        if dry_run == DryRun::Server {
            options["dryRun"] = json!(["All"]);
        }
        let answer = context
            .client()?
            .json(Request::send(Method::DELETE, wanted.path(), &options))
            .await?;
        // A server that answers with a Status has removed the object; else it answers with the object.
        if answer["kind"] == "Status" {
            return Ok(None);
        }
        Ok(Some(api::meta::uid(&answer).to_owned()))
    }

    fn say(&self, wanted: &Wanted, dry_run: DryRun) -> Result<()> {
        if self.output.as_deref() == Some("name") {
            return line(&wanted.display());
        }
        let kind = wanted.resource.prefix();
        let verb = if self.force || self.grace_period == 0 {
            "force deleted"
        } else {
            "deleted"
        };
        let place = if wanted.resource.namespaced {
            format!(" from {} namespace", wanted.namespace)
        } else {
            String::new()
        };
        let tail = dry_run.suffix();
        line(&format!("{kind} \"{}\" {verb}{place}{tail}", wanted.name))
    }
}

/// Asks whether to go on, as `delete -i` does.
fn confirm(found: &[Wanted]) -> Result<bool> {
    crate::context::print(&format!(
        "You are about to delete the following {} resource(s):\n",
        found.len()
    ))?;
    for wanted in found {
        line(&wanted.display())?;
    }
    let yes = if std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        dialoguer::Confirm::new()
            .with_prompt("Do you want to continue?")
            .default(false)
            .interact()
            .map_err(|e| e.to_string())?
    } else {
        crate::context::print("Do you want to continue? (y/N): ")?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        matches!(answer.trim(), "y" | "Y")
    };
    if !yes {
        line("deletion is cancelled")?;
    }
    Ok(yes)
}

/// Waits until an object is gone, or another one has taken its name.
pub(crate) async fn until_gone(
    context: &Context,
    wanted: &Wanted,
    uid: Option<&str>,
    end: Instant,
) -> Result<()> {
    let gone = target::watch::until(context, wanted, |object| {
        object.is_none_or(|object| uid.is_some_and(|uid| api::meta::uid(object) != uid))
    });
    let left = end.saturating_duration_since(Instant::now());
    match tokio::time::timeout(left, gone).await {
        Ok(result) => result.map(drop),
        Err(_) => Err(Error::Plain(format!(
            "timed out waiting for the condition on {}/{}",
            wanted.resource.plural, wanted.name
        ))),
    }
}

/// What a value of `--cascade` means to the server.
pub(super) fn propagation(cascade: &str) -> Result<&'static str> {
    match cascade {
        "background" => Ok("Background"),
        "orphan" => Ok("Orphan"),
        boolean @ ("true" | "false") => {
            let (name, value) = match boolean {
                "true" => ("background", "Background"),
                _ => ("orphan", "Orphan"),
            };
            note(&format!(
                "warning: --cascade={boolean} is deprecated (boolean value) and can be replaced with --cascade={name}."
            ));
            Ok(value)
        }
        "foreground" => Ok("Foreground"),
        other => Err(format!(
            "invalid cascade value ({other}). Must be \"background\", \"foreground\", or \"orphan\""
        )
        .into()),
    }
}
