//! `cluster-info dump`: nodes, and of some namespaces what runs there, with the logs of all pods.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use clap::Args;
use jiff::SignedDuration;
use serde_json::Value;

use crate::args::Print;
use crate::client::Request;
use crate::context::{Context, line};
use crate::duration;
use crate::error::{Error, Result, os};
use crate::printer::ordered::Ordered;
use crate::printer::{self, Format};
use crate::target::pods;

/// What is dumped of a namespace: the group and the plural of the kind, and the name of the file.
const KINDS: [(&str, &str, &str); 7] = [
    ("/api/v1", "events", "events"),
    (
        "/api/v1",
        "replicationcontrollers",
        "replication-controllers",
    ),
    ("/api/v1", "services", "services"),
    ("/apis/apps/v1", "daemonsets", "daemonsets"),
    ("/apis/apps/v1", "deployments", "deployments"),
    ("/apis/apps/v1", "replicasets", "replicasets"),
    ("/api/v1", "pods", "pods"),
];

/// Dump relevant information for debugging and diagnosis.
///
/// That of the current namespace and kube-system, unless flags name others, to stdout or into a folder.
#[derive(Args, Debug)]
pub(crate) struct Dump {
    /// Words that mean nothing, which kubectl lets pass too
    #[arg(hide = true)]
    words: Vec<String>,
    #[command(flatten)]
    print: Print,
    /// All namespaces, whatever --namespaces says
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// The namespaces to dump, separated by commas
    #[arg(long, value_delimiter = ',')]
    namespaces: Vec<String>,
    /// A folder for the files to be written; empty or - is stdout
    #[arg(long)]
    output_directory: Option<String>,
    /// Accepted so that scripts work: logs are read at once
    #[arg(long, value_parser = duration::parse, default_value = "20s")]
    pod_running_timeout: SignedDuration,
}

impl Dump {
    pub(super) async fn run(mut self, context: &Context) -> Result<()> {
        let output = self.print.output.take().filter(|o| !o.is_empty());
        self.print.output = Some(output.unwrap_or_else(|| "json".to_owned()));
        let format = Format::parse(&self.print, false)?;
        context.client()?;
        if self.pod_running_timeout <= SignedDuration::ZERO {
            return Err("--pod-running-timeout must be higher than zero".into());
        }
        let mut sink = Sink {
            folder: self
                .output_directory
                .filter(|folder| !folder.is_empty() && folder != "-"),
            format,
            keep_managers: self.print.show_managed_fields,
            printed: false,
        };
        sink.list(context, "/api/v1/nodes", "nodes").await?;
        let namespaces = if self.all_namespaces {
            let all = context
                .client()?
                .json(Request::get("/api/v1/namespaces"))
                .await?;
            let all = all["items"].as_array().into_iter().flatten();
            all.map(|n| api::meta::name(n).to_owned()).collect()
        } else if self.namespaces.iter().all(String::is_empty) {
            vec!["kube-system".to_owned(), context.namespace()?]
        } else {
            self.namespaces
        };
        for namespace in &namespaces {
            sink.namespace(context, namespace).await?;
        }
        match sink.folder {
            Some(folder) => line(&format!("Cluster info dumped to {folder}")),
            None => Ok(()),
        }
    }
}

/// Where things go, and in which form.
struct Sink {
    folder: Option<String>,
    format: Format,
    keep_managers: bool,
    /// Whether something has been printed: documents are separated, in whatever files they are.
    printed: bool,
}

impl Sink {
    async fn namespace(&mut self, context: &Context, namespace: &str) -> Result<()> {
        let mut found = Value::Null;
        for (group, plural, file) in KINDS {
            let path = format!("{group}/namespaces/{namespace}/{plural}");
            // The last are the pods.
            found = self
                .list(context, &path, &format!("{namespace}/{file}"))
                .await?;
        }
        for pod in found["items"].as_array().into_iter().flatten() {
            let file = format!("{namespace}/{}/logs", api::meta::name(pod));
            let mut writer = self.writer(&file, ".txt")?;
            for list in ["initContainers", "containers"] {
                for container in pods::names(pod, list) {
                    write_log(context, pod, container, &mut writer).await?;
                }
            }
            writer.flush()?;
        }
        Ok(())
    }

    /// Prints a list of things, and gives it. What the server doesn't have is no part of the cluster.
    async fn list(&mut self, context: &Context, path: &str, file: &str) -> Result<Value> {
        let text = match context.client()?.bytes(Request::get(path)).await {
            Err(error) if error.is_not_found() => return Ok(Value::Null),
            text => text?,
        };
        let unreadable = |e| Error::from(format!("couldn't read the server's answer: {e}"));
        let list: Value = serde_json::from_slice(&text).map_err(unreadable)?;
        let kind = list["kind"].as_str().unwrap_or_default();
        let extension = match self.format {
            Format::Json => ".json",
            Format::Yaml => ".yaml",
            _ => ".txt",
        };
        let mut writer = self.writer(file, extension)?;
        let shown = match &self.format {
            Format::Name => {
                return Err(
                    format!("list types are not supported by name printing: *v1.{kind}").into(),
                );
            }
            // Types of Go have their fields in an order of their own, which is that of the answer.
            Format::Json => {
                let mut list: Ordered = serde_json::from_slice(&text).map_err(unreadable)?;
                if !self.keep_managers {
                    list.strip_managed_fields();
                }
                list.pretty()
            }
            other if self.keep_managers => other.object(&list, None)?,
            other => other.object(&printer::without_managed_fields(list.clone()), None)?,
        };
        if self.printed && matches!(self.format, Format::Yaml) {
            writer.write_all(b"---\n")?;
        }
        self.printed = true;
        writer.write_all(shown.as_bytes())?;
        writer.flush()?;
        Ok(list)
    }

    /// A file of the folder, or stdout.
    fn writer(&self, file: &str, extension: &str) -> Result<Box<dyn Write>> {
        let Some(folder) = &self.folder else {
            return Ok(Box::new(std::io::stdout()));
        };
        let path = Path::new(folder).join(format!("{file}{extension}"));
        let parent = path.parent().unwrap_or(Path::new(folder));
        fs::create_dir_all(parent)
            .map_err(|error| format!("mkdir {}: {}", parent.display(), os(&error)))?;
        let file = File::create(&path)
            .map_err(|error| format!("open {}: {}", path.display(), os(&error)))?;
        Ok(Box::new(file))
    }
}

/// Writes what a container has printed, or why that is not known.
async fn write_log(
    context: &Context,
    pod: &Value,
    container: &str,
    writer: &mut Box<dyn Write>,
) -> Result<()> {
    let (namespace, name) = (api::meta::namespace(pod), api::meta::name(pod));
    let whose = format!("logs for container {container} of pod {namespace}/{name} ====");
    writeln!(writer, "==== START {whose}")?;
    let request = Request::get(format!("{}/log", pods::path(pod))).query("container", container);
    match context.client()?.bytes(request).await {
        Ok(log) => writer.write_all(&log)?,
        Err(Error::Status { status, .. }) => {
            let problem = raw(status["code"].as_u64().unwrap_or(500));
            writeln!(writer, "Request log error: {problem} (get pods {name})")?;
        }
        Err(error) => writeln!(writer, "Request log error: {error}")?,
    }
    writeln!(writer, "==== END {whose}")?;
    Ok(())
}

/// What kubectl makes of a failure whose body it doesn't read.
fn raw(code: u64) -> String {
    match code {
        400 => "the server rejected our request for an unknown reason".to_owned(),
        401 => "the server has asked for the client to provide credentials".to_owned(),
        403 => "unknown".to_owned(),
        404 => "the server could not find the requested resource".to_owned(),
        429 => "the server has received too many requests and has asked us to try again later"
            .to_owned(),
        503 => "the server is currently unable to handle the request".to_owned(),
        504 => "the server was unable to return a response in the time allotted, but may still be processing the request".to_owned(),
        500.. => "an error on the server (\"unknown\") has prevented the request from succeeding"
            .to_owned(),
        _ => format!(
            "the server responded with the status code {code} but did not return more information"
        ),
    }
}
