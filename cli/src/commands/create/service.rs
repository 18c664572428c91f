//! `create service`: the four types of services.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Common;
use super::generators::one;
use crate::error::Result;

/// The types of services.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(crate) struct Service {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// Create a ClusterIP service
    Clusterip(ClusterIp),
    /// Create an ExternalName service
    Externalname(ExternalName),
    /// Create a LoadBalancer service
    Loadbalancer(Plain),
    /// Create a NodePort service
    Nodeport(NodePort),
}

/// What every type of service has.
#[derive(Args, Debug)]
struct Plain {
    /// The name
    words: Vec<String>,
    /// A port as port or port:targetPort, repeatable
    #[arg(long, value_delimiter = ',')]
    tcp: Vec<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
struct ClusterIp {
    #[command(flatten)]
    plain: Plain,
    /// The address; None for a service without one
    #[arg(long)]
    clusterip: Option<String>,
}

#[derive(Args, Debug)]
struct ExternalName {
    #[command(flatten)]
    plain: Plain,
    /// The name outside of the cluster
    #[arg(long)]
    external_name: Option<String>,
}

#[derive(Args, Debug)]
struct NodePort {
    #[command(flatten)]
    plain: Plain,
    /// The port on each node; 0 leaves it to the server
    #[arg(long, default_value_t = 0)]
    node_port: i64,
}

impl Service {
    pub(super) fn common(&self) -> &Common {
        match &self.kind {
            Kind::Clusterip(flags) => &flags.plain.common,
            Kind::Externalname(flags) => &flags.plain.common,
            Kind::Loadbalancer(flags) => &flags.common,
            Kind::Nodeport(flags) => &flags.plain.common,
        }
    }

    pub(super) fn object(&self) -> Result<Value> {
        match &self.kind {
            Kind::Clusterip(flags) => {
                let headless = flags.clusterip.as_deref() == Some("None");
                let mut service = flags.plain.object("ClusterIP", !headless)?;
                if let Some(address) = flags.clusterip.as_deref().filter(|a| !a.is_empty()) {
                    service["spec"]["clusterIP"] = address.into();
                }
                Ok(service)
            }
            Kind::Externalname(flags) => {
                let Some(name) = &flags.external_name else {
                    return Err("required flag(s) \"external-name\" not set".into());
                };
                let mut service = flags.plain.object("ExternalName", false)?;
                service["spec"]["externalName"] = name.clone().into();
                Ok(service)
            }
            Kind::Loadbalancer(flags) => flags.object("LoadBalancer", true),
            Kind::Nodeport(flags) => {
                let mut service = flags.plain.object("NodePort", true)?;
                if flags.node_port != 0 {
                    for port in service["spec"]["ports"]
                        .as_array_mut()
                        .into_iter()
                        .flatten()
                    {
                        port["nodePort"] = flags.node_port.into();
                    }
                }
                Ok(service)
            }
        }
    }
}

impl Plain {
    fn object(&self, kind: &str, needs_port: bool) -> Result<Value> {
        let name = one(&self.words, &format!("service {}", kind.to_lowercase()))?;
        if needs_port && self.tcp.is_empty() {
            return Err("at least one tcp port specifier must be provided".into());
        }
        let labels = json!({"app": name});
        let mut service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels},
            "spec": {"selector": labels, "type": kind}, "status": {"loadBalancer": {}},
        });
        let ports: Vec<Value> = self.tcp.iter().map(|p| port(p)).collect::<Result<_>>()?;
        if !ports.is_empty() {
            service["spec"]["ports"] = ports.into();
        }
        Ok(service)
    }
}

/// A port of `80`, `80:8080` or `80:http`.
fn port(text: &str) -> Result<Value> {
    let (from, to) = text.split_once(':').unwrap_or((text, text));
    let number: u16 = from
        .parse()
        .map_err(|_| format!("strconv.ParseUint: parsing {from:?}: invalid syntax"))?;
    let target = match to.parse::<u16>() {
        Ok(number) => number.into(),
        Err(_) => Value::from(to),
    };
    let name = text.replace(':', "-");
    Ok(json!({"name": name, "protocol": "TCP", "port": number, "targetPort": target}))
}
