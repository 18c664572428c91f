//! `cluster-info`: where the control plane is.

use std::io::IsTerminal as _;

use clap::Args;

use crate::client::Request;
use crate::context::{Context, line};
use crate::error::Result;

/// Display addresses of the control plane and services with label kubernetes.io/cluster-service=true.
#[derive(Args, Debug)]
pub(crate) struct ClusterInfo {}

impl ClusterInfo {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let client = context.client()?;
        let services = client
            .json(
                Request::get("/api/v1/namespaces/kube-system/services")
                    .query("labelSelector", "kubernetes.io/cluster-service=true"),
            )
            .await;
        // Servers without services have none to show.
        let services = match services {
            Err(error) if error.is_not_found() => serde_json::Value::Null,
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
            let port = service["spec"]["ports"][0]["name"]
                .as_str()
                .unwrap_or_default();
            let target = if port.is_empty() {
                api::meta::name(service).to_owned()
            } else {
                format!("{}:{port}", api::meta::name(service))
            };
            say(
                &name,
                &format!(
                    "{base}/api/v1/namespaces/{}/services/{target}/proxy",
                    api::meta::namespace(service)
                ),
            )?;
        }
        line("\nTo further debug and diagnose cluster problems, use 'ctl cluster-info dump'.")
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
