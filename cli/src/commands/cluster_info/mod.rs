//! `cluster-info`: where the control plane is.

mod dump;

use std::io::IsTerminal as _;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::client::{Client, Request};
use crate::context::{Context, line};
use crate::error::Result;

/// Display addresses of the control plane and services with label kubernetes.io/cluster-service=true.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ClusterInfo {
    #[command(subcommand)]
    part: Option<Part>,
    /// Words that mean nothing, which kubectl lets pass too
    #[arg(hide = true)]
    words: Vec<String>,
}

/// More than that.
#[derive(Debug, Subcommand)]
enum Part {
    Dump(dump::Dump),
}

impl ClusterInfo {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        if let Some(Part::Dump(dump)) = self.part {
            return dump.run(context).await;
        }
        let shown = show(context.client()?).await;
        line("\nTo further debug and diagnose cluster problems, use 'ctl cluster-info dump'.")?;
        shown
    }
}

/// Shows the control plane and the services that belong to it.
async fn show(client: &Client) -> Result<()> {
    let services = client
        .json(
            Request::get("/api/v1/namespaces/kube-system/services")
                .query("labelSelector", "kubernetes.io/cluster-service=true"),
        )
        .await;
    // Servers without services have none to show.
    let services = match services {
        Err(error) if error.is_not_found() => Value::Null,
        services => services?,
    };
    let base = client.base().as_str().trim_end_matches('/').to_owned();
    say("Kubernetes control plane", &base)?;
    for service in services["items"].as_array().into_iter().flatten() {
        let labels = api::meta::labels(service);
        let name = labels
            .get("kubernetes.io/name")
            .cloned()
            .unwrap_or_else(|| api::meta::name(service).to_owned());
        let link = format!(
            "{base}/api/v1/namespaces/{}/services/{}/proxy",
            api::meta::namespace(service),
            target(service)
        );
        say(&name, &link)?;
    }
    Ok(())
}

/// A service as the API server's proxy names it: `name`, `name:port` or `https:name:port`.
fn target(service: &Value) -> String {
    let name = api::meta::name(service);
    let port = &service["spec"]["ports"][0];
    let port_name = port["name"].as_str().unwrap_or_default();
    // Nothing says so for certain, but where these are there is TLS.
    if port_name == "https" || port["port"] == 443 {
        format!("https:{name}:{port_name}")
    } else if port_name.is_empty() {
        name.to_owned()
    } else {
        format!("{name}:{port_name}")
    }
}

fn say(name: &str, link: &str) -> Result<()> {
    if std::io::stdout().is_terminal() {
        return line(&format!(
            "\u{1b}[0;32m{name}\u{1b}[0m is running at \u{1b}[0;33m{link}\u{1b}[0m"
        ));
    }
    line(&format!("{name} is running at {link}"))
}
