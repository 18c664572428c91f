//! `version`: which Kubernetes this program follows, and which the server is.

use clap::Args;
use serde_json::{Value, json};

use crate::client::Request;
use crate::context::{Context, line, print};
use crate::error::Result;
use crate::printer::json;

/// The version of Kubernetes that this program follows.
const KUBERNETES: (&str, &str, &str) = ("1", "37", "v1.37.2");
/// The version of kustomize that kubectl of that version holds.
const KUSTOMIZE: &str = "v5.8.1";

/// Print the versions of this program and of the server.
#[derive(Args, Debug)]
pub(crate) struct Version {
    /// Nothing
    #[arg(hide = true)]
    words: Vec<String>,
    /// Only this program's version: no server is asked
    #[arg(long)]
    client: bool,
    /// yaml or json
    #[arg(long, short = 'o')]
    output: Option<String>,
}

impl Version {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        if !self.words.is_empty() {
            return Err(format!("extra arguments: [{}]", self.words.join(" ")).into());
        }
        let output = self.output.as_deref().unwrap_or_default();
        if !matches!(output, "" | "yaml" | "json") {
            return Err("--output must be 'yaml' or 'json'".into());
        }
        let (server, error) = if self.client {
            (None, None)
        } else {
            // Without a server to ask, nothing is said of the client either.
            context.chosen()?;
            match self.server(context).await {
                Ok(server) => (Some(server), None),
                Err(error) => (None, Some(error)),
            }
        };
        match output {
            "" => {
                line(&format!(
                    "Client Version: {}\nKustomize Version: {KUSTOMIZE}",
                    KUBERNETES.2
                ))?;
                if let Some(server) = &server {
                    line(&format!(
                        "Server Version: {}",
                        server["gitVersion"].as_str().unwrap_or_default()
                    ))?;
                }
            }
            "json" => print(&as_json(server.as_ref()))?,
            _ => {
                let mut all = json!({"clientVersion": client(), "kustomizeVersion": KUSTOMIZE});
                if let Some(server) = &server {
                    all["serverVersion"] = server.clone();
                }
                line(&api::wire::yaml::write(&all))?;
            }
        }
        if let (Some(server), "") = (&server, output) {
            skew(server);
        }
        error.map_or(Ok(()), Err)
    }

    async fn server(&self, context: &Context) -> Result<Value> {
        context.client()?.json(Request::get("/version")).await
    }
}

/// Warns of a server that is more than one minor version away, as kubectl does.
fn skew(server: &Value) {
    let minor = |text: &str| {
        text.trim_end_matches(|c: char| !c.is_ascii_digit())
            .parse::<i64>()
            .ok()
    };
    let (Some(theirs), Some(ours)) = (
        server["minor"].as_str().and_then(minor),
        minor(KUBERNETES.1),
    ) else {
        return;
    };
    if (theirs - ours).abs() > 1 {
        crate::context::note(&format!(
            "Warning: version difference between client ({}.{}) and server ({}.{theirs}) exceeds the supported minor version skew of +/-1",
            KUBERNETES.0,
            KUBERNETES.1,
            server["major"].as_str().unwrap_or_default(),
        ));
    }
}

fn client() -> Value {
    json!({
        "major": KUBERNETES.0, "minor": KUBERNETES.1, "gitVersion": KUBERNETES.2,
        "gitCommit": "", "gitTreeState": "", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, arch()),
    })
}

/// The architecture under Go's name.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// JSON in the order of Go's struct, two blanks deep.
fn as_json(server: Option<&Value>) -> String {
    const FIELDS: [&str; 13] = [
        "major",
        "minor",
        "emulationMajor",
        "emulationMinor",
        "minCompatibilityMajor",
        "minCompatibilityMinor",
        "gitVersion",
        "gitCommit",
        "gitTreeState",
        "buildDate",
        "goVersion",
        "compiler",
        "platform",
    ];
    let info = |info: &Value| {
        let lines: Vec<String> = FIELDS
            .iter()
            .filter(|field| !info[**field].is_null())
            .map(|field| format!("    \"{field}\": {}", json::compact(&info[*field])))
            .collect();
        format!("{{\n{}\n  }}", lines.join(",\n"))
    };
    let mut out = format!(
        "{{\n  \"clientVersion\": {},\n  \"kustomizeVersion\": \"{KUSTOMIZE}\"",
        info(&client())
    );
    if let Some(server) = server {
        out.push_str(&format!(",\n  \"serverVersion\": {}", info(server)));
    }
    out.push_str("\n}\n");
    out
}
