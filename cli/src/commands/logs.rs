//! `logs`: what containers have printed.

use std::io::Write as _;
use std::time::{Duration, Instant};

use clap::Args;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jiff::SignedDuration;
use serde_json::Value;

use crate::client::Request;
use crate::context::{Context, line, note};
use crate::duration;
use crate::error::{Error, Result};
use crate::target::pods;

/// Print the logs for a container in a pod or specified resource.
#[derive(Args, Clone, Debug)]
pub(crate) struct Logs {
    /// A pod, or a thing that has pods: x, deploy/web
    words: Vec<String>,
    /// All containers of the pod
    #[arg(long)]
    all_containers: bool,
    /// All pods of the thing
    #[arg(long)]
    all_pods: bool,
    /// The container
    #[arg(long, short = 'c')]
    container: Option<String>,
    /// Go on with what is printed from now on
    #[arg(long, short = 'f')]
    follow: bool,
    /// Go on when a log can't be read
    #[arg(long)]
    ignore_errors: bool,
    /// Don't check the certificate of the kubelet
    #[arg(long)]
    insecure_skip_tls_verify_backend: bool,
    /// At most this many bytes; 0 for all
    #[arg(long, default_value_t = 0)]
    limit_bytes: i64,
    /// At most this many logs at once
    #[arg(long, default_value_t = 5)]
    max_log_requests: i64,
    /// How long to wait for a pod that runs
    #[arg(long, value_parser = duration::parse, default_value = "20s")]
    pod_running_timeout: SignedDuration,
    /// Pod and container in front of each line
    #[arg(long)]
    prefix: bool,
    /// The run of the container before this one
    #[arg(long, short = 'p')]
    previous: bool,
    /// The pods whose labels fit
    #[arg(long, short = 'l')]
    selector: Option<String>,
    /// Only what is newer than a duration such as 5s, 2m, 3h
    #[arg(long, value_parser = duration::parse, default_value = "0s")]
    since: SignedDuration,
    /// Only what is newer than a time (RFC 3339)
    #[arg(long)]
    since_time: Option<String>,
    /// Only the last lines; -1 for all
    #[arg(long, default_value_t = -1)]
    tail: i64,
    /// The time in front of each line
    #[arg(long)]
    timestamps: bool,
}

const USAGE: &str = "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command\nSee 'ctl logs -h' for help and examples";

/// What is wanted of things that have pods.
const TASK: &str = "cannot get the logs from";

/// How long to wait before a log that can't be read yet is asked for again.
const RETRY: Duration = Duration::from_secs(1);

/// One log to read.
struct Source {
    path: String,
    container: String,
    prefix: String,
}

/// kubectl words the absence of a thing in its own way here.
fn absent(context: &Context, error: Error) -> Error {
    if !error.is_not_found() {
        return error;
    }
    let namespace = context.namespace().unwrap_or_default();
    Error::Plain(format!(
        "error from server (NotFound): {error} in namespace {namespace:?}"
    ))
}

impl Logs {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        self.check()?;
        // A rest of a second is rounded, as kubectl rounds it.
        let since = duration::positive(self.since).as_secs_f64().round() as u64;
        let selecting = self.selector.as_deref().is_some_and(|s| !s.is_empty());
        let pods = if let Some(selector) = self.selector.as_deref().filter(|_| selecting) {
            let found = pods::listed(context, &context.namespace()?, selector).await?;
            if found.is_empty() {
                note(&format!(
                    "No resources found in {} namespace.",
                    context.namespace()?
                ));
                return Ok(());
            }
            found
        } else {
            let thing = &self.words[..1];
            let found = if self.all_pods {
                pods::of(context, thing, TASK).await
            } else {
                pods::one(context, thing, TASK).await.map(|pod| vec![pod])
            };
            found.map_err(|error| absent(context, error))?
        };
        let prefix = self.prefix || self.all_pods;
        let mut sources = Vec::new();
        for pod in &pods {
            self.sources(pod, prefix, &mut sources)?;
        }
        let tail = if selecting && self.tail == -1 && !self.follow {
            10
        } else {
            self.tail
        };
        let most = usize::try_from(self.max_log_requests).unwrap_or(0);
        if self.follow && sources.len() > 1 && sources.len() > most {
            return Err(format!(
                "you are attempting to follow {} log streams, but maximum allowed concurrency is {most}, use --max-log-requests to increase the limit",
                sources.len()
            )
            .into());
        }
        self.read(context, sources, since, tail).await
    }

    fn check(&self) -> Result<()> {
        let selecting = self.selector.is_some();
        if self.words.is_empty() && !selecting || self.words.len() > 2 {
            return Err(USAGE.into());
        }
        if !self.words.is_empty() && selecting {
            return Err("only a selector (-l) or a POD name is allowed\nSee 'ctl logs -h' for help and examples".into());
        }
        if let Some(time) = self.since_time.as_deref()
            && api::meta::time::parse(time).is_none()
        {
            return Err(format!(
                "parsing time {time:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {time:?} as \"2006\""
            )
            .into());
        }
        if self.since_time.is_some() && !self.since.is_zero() {
            return Err("at most one of `sinceTime` or `sinceSeconds` may be specified".into());
        }
        if self.since.is_negative() {
            return Err("--since must be greater than 0".into());
        }
        if self.tail < -1 {
            return Err("--tail must be greater than or equal to -1".into());
        }
        if self.limit_bytes < 0 {
            return Err("--limit-bytes must be greater than 0".into());
        }
        let inline = self.words.get(1);
        if let Some(name) = self.container.as_ref().or(inline)
            && self.all_containers
        {
            return Err(format!(
                "--all-containers=true should not be specified with container name {name}"
            )
            .into());
        }
        if self.container.is_some() && inline.is_some() {
            return Err("only one of -c or an inline [CONTAINER] arg is allowed".into());
        }
        Ok(())
    }

    fn sources(&self, pod: &Value, prefix: bool, sources: &mut Vec<Source>) -> Result<()> {
        // The second word is a container, as in `logs pod container`.
        let names = if self.all_containers {
            let lists = ["initContainers", "containers", "ephemeralContainers"];
            lists
                .iter()
                .flat_map(|l| pods::names(pod, l))
                .map(str::to_owned)
                .collect()
        } else {
            let named = self.container.as_ref().or(self.words.get(1));
            vec![pods::container(pod, named.map(String::as_str), false)?]
        };
        for container in names {
            let shown = format!("[pod/{}/{container}] ", api::meta::name(pod));
            sources.push(Source {
                path: format!("{}/log", pods::path(pod)),
                container,
                prefix: if prefix { shown } else { String::new() },
            });
        }
        Ok(())
    }

    fn request(&self, source: &Source, since: u64, tail: i64) -> Request {
        let flag = |on: bool| if on { "true" } else { "" };
        let number = |n: i64, none: i64| {
            if n == none {
                String::new()
            } else {
                n.to_string()
            }
        };
        let mut request = Request::get(source.path.as_str())
            .query("container", source.container.as_str())
            .query("follow", flag(self.follow))
            .query(
                "insecureSkipTLSVerifyBackend",
                flag(self.insecure_skip_tls_verify_backend),
            )
            .query("limitBytes", number(self.limit_bytes, 0))
            .query("previous", flag(self.previous))
            .query(
                "sinceSeconds",
                number(i64::try_from(since).unwrap_or(i64::MAX), 0),
            )
            .query("sinceTime", self.since_time.clone().unwrap_or_default())
            .query("tailLines", number(tail, -1))
            .query("timestamps", flag(self.timestamps));
        request.endless = self.follow;
        request
    }

    /// Reads logs one after the other, or, following several, at the same time.
    async fn read(
        &self,
        context: &Context,
        sources: Vec<Source>,
        since: u64,
        tail: i64,
    ) -> Result<()> {
        let mut running = FuturesUnordered::new();
        let together = self.follow && sources.len() > 1;
        for source in &sources {
            let copy = self.copy(context, source, since, tail);
            if together {
                running.push(copy);
                continue;
            }
            self.tolerate(copy.await)?;
        }
        while let Some(result) = running.next().await {
            self.tolerate(result)?;
        }
        Ok(())
    }

    fn tolerate(&self, result: Result<()>) -> Result<()> {
        match result {
            Err(error) if self.ignore_errors => line(&format!("error: {error}")),
            other => other,
        }
    }

    /// Opens a log. One that is to be followed and can't be read yet is asked for again, for a while.
    async fn open(
        &self,
        context: &Context,
        source: &Source,
        since: u64,
        tail: i64,
    ) -> Result<reqwest::Response> {
        let client = context.client()?;
        let mut again = Instant::now();
        let until = again + duration::positive(self.pod_running_timeout);
        loop {
            let answer = client.response(self.request(source, since, tail)).await;
            let error = match answer {
                Err(error) if self.follow && !self.ignore_errors => error,
                other => return other,
            };
            note(&error.to_string());
            again += RETRY;
            tokio::time::sleep_until(again.min(until).into()).await;
            if again > until {
                return Err("context deadline exceeded".into());
            }
        }
    }

    async fn copy(&self, context: &Context, source: &Source, since: u64, tail: i64) -> Result<()> {
        let client = context.client()?;
        let mut response = self.open(context, source, since, tail).await?;
        let mut pending: Vec<u8> = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|e| client.connect_error(&e))?
        {
            let mut out = std::io::stdout().lock();
            if source.prefix.is_empty() {
                out.write_all(&chunk)?;
                out.flush()?;
                continue;
            }
            pending.extend_from_slice(&chunk);
            while let Some(end) = pending.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                out.write_all(source.prefix.as_bytes())?;
                out.write_all(&line)?;
            }
            out.flush()?;
        }
        if !pending.is_empty() {
            let mut out = std::io::stdout().lock();
            out.write_all(source.prefix.as_bytes())?;
            out.write_all(&pending)?;
            out.flush()?;
        }
        Ok(())
    }
}
