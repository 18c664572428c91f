//! `wait`: until objects are there, gone, or in a condition.

use std::time::{Duration, Instant};

use clap::Args;
use jiff::SignedDuration;
use serde_json::Value;

use crate::args::Files;
use crate::args::Print;
use crate::context::{Context, line};
use crate::duration;
use crate::error::{Error, Result};
use crate::printer::go::{Data, print};
use crate::printer::jsonpath::{self, Template};
use crate::printer::{self, Format};
use crate::target::{self, Spec, Wanted, watch};

/// Wait for a specific condition on one or many resources.
#[derive(Args, Clone, Debug)]
pub(crate) struct Wait {
    /// Types and names: pod x, po/x, pods
    words: Vec<String>,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    print: Print,
    /// All objects of the types given
    #[arg(long)]
    all: bool,
    /// In all namespaces
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// Only objects whose fields fit
    #[arg(long)]
    field_selector: Option<String>,
    /// create, delete, condition=NAME[=VALUE] or jsonpath='{PATH}'[=VALUE]
    #[arg(long = "for")]
    condition: Vec<String>,
    /// Look at what the files hold, and ask no server
    #[arg(long)]
    local: bool,
    /// Only objects whose labels fit
    #[arg(long, short = 'l')]
    selector: Option<String>,
    /// How long to wait; 0 looks once, below that a week
    #[arg(long, value_parser = duration::parse, default_value = "30s")]
    timeout: SignedDuration,
}

/// What is waited for.
#[derive(Clone, Debug)]
enum Goal {
    Create,
    Delete,
    Condition(String, String),
    Path(Template, Option<String>),
}

impl Goal {
    fn parse(text: &str) -> Result<Self> {
        match text.to_lowercase().as_str() {
            "delete" => return Ok(Self::Delete),
            "create" => return Ok(Self::Create),
            _ => {}
        }
        if let Some(rest) = text.strip_prefix("condition=") {
            let (name, value) = rest.split_once('=').unwrap_or((rest, "true"));
            return Ok(Self::Condition(name.to_owned(), value.to_owned()));
        }
        if let Some(rest) = text.strip_prefix("jsonpath=") {
            let (path, value) = path_and_value(rest)?;
            if path.is_empty() {
                return Err("jsonpath expression cannot be empty".into());
            }
            let template = Template::parse(&jsonpath::relaxed(&path)?, true)?;
            return Ok(Self::Path(template, value));
        }
        Err(format!("unrecognized condition: {text:?}").into())
    }

    fn reached(&self, object: Option<&Value>) -> Result<bool> {
        Ok(match (self, object) {
            (Self::Delete, object) => object.is_none(),
            (_, None) => false,
            (Self::Create, Some(object)) => !api::meta::uid(object).is_empty(),
            (Self::Condition(name, value), Some(object)) => {
                let generation = api::meta::generation(object);
                let conditions = object["status"]["conditions"]
                    .as_array()
                    .into_iter()
                    .flatten();
                let mut named = conditions.filter(|c| {
                    c["type"]
                        .as_str()
                        .is_some_and(|t| t.eq_ignore_ascii_case(name))
                });
                named.next().is_some_and(|c| {
                    let seen = c["observedGeneration"]
                        .as_i64()
                        .or_else(|| object["status"]["observedGeneration"].as_i64());
                    seen.is_none_or(|seen| seen >= generation)
                        && c["status"]
                            .as_str()
                            .is_some_and(|s| s.eq_ignore_ascii_case(value))
                })
            }
            (Self::Path(template, value), Some(object)) => {
                finds(template, value.as_deref(), object)?
            }
        })
    }
}

/// `PATH` or `PATH=VALUE`; two equal signs are part of either.
fn path_and_value(text: &str) -> Result<(String, Option<String>)> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let part = parts.last_mut().map(|part| part as &mut String);
        match (c, part) {
            ('=', Some(part)) if chars.next_if_eq(&'=').is_some() => part.push_str("=="),
            ('=', _) => parts.push(String::new()),
            (c, Some(part)) => part.push(c),
            (_, None) => {}
        }
    }
    let mut parts = parts.into_iter();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(path), None, _) => Ok((path, None)),
        (Some(path), Some(value), None) => {
            let value = value.trim_matches(['"', '\'']).to_owned();
            if value.is_empty() {
                jsonpath::relaxed(&path)?;
                return Err("jsonpath wait has to have a value after equal sign, like --for=jsonpath='{.status.readyReplicas}'=3".into());
            }
            Ok((path, Some(value)))
        }
        _ => Err("jsonpath wait format must be --for=jsonpath='{.status.readyReplicas}'=3 or --for=jsonpath='{.status.readyReplicas}'".into()),
    }
}

/// Whether a path finds one value, and that is the one wanted.
fn finds(template: &Template, wanted: Option<&str>, object: &Value) -> Result<bool> {
    let found = template.find(object)?;
    let Some(first) = found.first().filter(|first| !first.is_empty()) else {
        return Ok(false);
    };
    if found.len() > 1 {
        return Err("given jsonpath expression matches more than one list".into());
    }
    let [value] = first.as_slice() else {
        return Err("given jsonpath expression matches more than one value".into());
    };
    let Some(wanted) = wanted else {
        return Ok(true);
    };
    if matches!(value.data, Data::Map(_) | Data::List(_)) {
        return Err("jsonpath leads to a nested object or list which is not supported".into());
    }
    Ok(print::text(value).trim() == wanted.trim())
}

impl Wait {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let goals: Vec<Goal> = self
            .condition
            .iter()
            .map(|c| Goal::parse(c))
            .collect::<Result<_>>()?;
        let [goal] = goals.as_slice() else {
            return Err(if goals.is_empty() {
                "unrecognized condition: []".into()
            } else {
                Error::from("only one condition can be waited for at a time")
            });
        };
        let format = Format::parse(&self.print, false)?;
        let end = Instant::now() + self.time();
        let mut found = self.find(context, goal).await?;
        if found.is_empty() && !matches!(goal, Goal::Delete) {
            return Err("no matching resources found".into());
        }
        let mut errors = Vec::new();
        for wanted in found.drain(..) {
            if let Err(error) = self.one(context, &wanted, goal, end, &format).await {
                errors.push(error);
            }
        }
        Error::many(errors)
    }

    fn time(&self) -> Duration {
        if self.timeout.is_negative() {
            return Duration::from_secs(168 * 3600);
        }
        duration::positive(self.timeout)
    }

    /// The objects to wait for. Those that a delete waits for may be gone, those that a create waits
    /// for may not be there yet.
    async fn find(&self, context: &Context, goal: &Goal) -> Result<Vec<Wanted>> {
        let spec = Spec {
            words: self.words.clone(),
            files: self.files.clone(),
            labels: self.selector.clone().unwrap_or_default(),
            fields: self.field_selector.clone().unwrap_or_default(),
            all_namespaces: self.all_namespaces,
            all: self.all,
            ..Spec::default()
        };
        // Here kubectl makes its connection before it looks for the namespace.
        context.chosen()?;
        let resolved = target::resolve(context, &spec).await?;
        let all_named = resolved.wanted.iter().all(|w| !w.name.is_empty());
        if self.local || all_named && matches!(goal, Goal::Create) {
            return Ok(resolved.wanted);
        }
        let (found, errors) = target::objects(context, &spec).await?;
        let errors = errors
            .into_iter()
            .filter(|e| !(matches!(goal, Goal::Delete) && e.is_not_found()))
            .collect();
        Error::many(errors)?;
        Ok(found)
    }

    async fn one(
        &self,
        context: &Context,
        wanted: &Wanted,
        goal: &Goal,
        end: Instant,
        format: &Format,
    ) -> Result<()> {
        let thing = format!("{}/{}", wanted.resource.plural, wanted.name);
        let late = || match goal {
            // Without time to wait the object is looked at once.
            _ if self.timeout.is_zero() => Error::Plain(format!("condition not met for {thing}")),
            Goal::Create => Error::from("timed out waiting for the condition"),
            _ => Error::Plain(format!("timed out waiting for the condition on {thing}")),
        };
        let object = if self.local {
            if !goal.reached(Some(&wanted.object))? {
                return Err(late());
            }
            Some(wanted.object.clone())
        } else if !matches!(goal, Goal::Delete) && goal.reached(Some(&wanted.object))? {
            Some(wanted.object.clone())
        } else if self.timeout.is_zero() && !matches!(goal, Goal::Create) {
            return Err(late());
        } else {
            let uid = api::meta::uid(&wanted.object).to_owned();
            let mut fault = None;
            let until = watch::until(context, wanted, |object| {
                let object = object.filter(|o| {
                    !matches!(goal, Goal::Delete) || uid.is_empty() || api::meta::uid(o) == uid
                });
                // A path that can't be followed ends the wait as well.
                goal.reached(object).unwrap_or_else(|error| {
                    fault = Some(error);
                    true
                })
            });
            let left = end
                .saturating_duration_since(Instant::now())
                .max(Duration::from_millis(500));
            let object = tokio::time::timeout(left, until)
                .await
                .map_err(|_| late())??;
            if let Some(error) = fault {
                return Err(error);
            }
            object
        };
        if format.is_human() {
            return line(&format!("{} condition met", wanted.display()));
        }
        let object = object.unwrap_or_else(|| wanted.object.clone());
        printer::outcome(
            format,
            &self.print,
            &object,
            &wanted.resource,
            "condition met",
        )
    }
}
