//! `create`: makes objects from files, or by sub-commands from flags.

mod batch;
mod generators;
mod hash;
mod ingress;
mod policy;
mod registry;
mod service;
mod token;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use super::apply::{field_validation, with_last_applied};
use crate::args::{DryRun, DryRunFlag, Files, Print};
use crate::client::Request;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::printer::{self, Format};
use crate::target::files;

/// Create a resource from a file or from stdin.
#[derive(Args, Debug)]
pub(crate) struct Create {
    #[command(subcommand)]
    what: Option<What>,
    /// Subjects of a binding, moved here from the flag of every command that has the same name.
    #[arg(skip)]
    users: Vec<String>,
    /// Nothing
    words: Vec<String>,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    common: Common,
    /// A path to send the file to, as it is
    #[arg(long)]
    raw: Option<String>,
    /// Only objects of the files whose labels fit
    #[arg(long, short = 'l')]
    selector: Option<String>,
}

/// The flags of `create` and of its sub-commands.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    #[command(flatten)]
    print: Print,
    #[command(flatten)]
    dry_run: DryRunFlag,
    /// The name under which fields are owned
    #[arg(long, default_value = "kubectl-create")]
    field_manager: String,
    /// Keep the configuration in an annotation, for a later apply
    #[arg(long)]
    save_config: bool,
    /// strict, warn or ignore unknown fields
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "strict", default_missing_value = "strict")]
    validate: String,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Create a cluster role
    Clusterrole(generators::Role),
    /// Create a cluster role binding for a particular cluster role
    Clusterrolebinding(generators::Binding),
    /// Create a config map from a local file, directory or literal value
    #[command(alias = "cm")]
    Configmap(generators::ConfigMap),
    /// Create a cron job with the specified name
    #[command(alias = "cj")]
    Cronjob(batch::CronJob),
    /// Create a deployment with the specified name
    #[command(alias = "deploy")]
    Deployment(generators::Deployment),
    /// Create an ingress with the specified name
    #[command(alias = "ing")]
    Ingress(ingress::Ingress),
    /// Create a job with the specified name
    Job(batch::Job),
    /// Create a namespace with the specified name
    #[command(alias = "ns")]
    Namespace(generators::Plain),
    /// Create a pod disruption budget with the specified name
    #[command(alias = "pdb")]
    Poddisruptionbudget(policy::DisruptionBudget),
    /// Create a priority class with the specified name
    #[command(alias = "pc")]
    Priorityclass(policy::PriorityClass),
    /// Create a quota with the specified name
    #[command(alias = "resourcequota")]
    Quota(policy::Quota),
    /// Create a role with single rule
    Role(generators::Role),
    /// Create a role binding for a particular role or cluster role
    Rolebinding(generators::Binding),
    /// Create a secret from a local file, directory, or literal value
    Secret(Secret),
    /// Create a service using a specified subcommand
    #[command(alias = "svc")]
    Service(service::Service),
    /// Create a service account with the specified name
    #[command(alias = "sa")]
    Serviceaccount(generators::Plain),
    /// Request a service account token
    Token(token::Token),
}

/// The kinds of secrets.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(crate) struct Secret {
    #[command(subcommand)]
    what: SecretKind,
}

#[derive(Debug, Subcommand)]
enum SecretKind {
    /// Create a secret for use with an image registry
    DockerRegistry(registry::Registry),
    /// Create a secret from a local file, directory, or literal value
    Generic(generators::ConfigMap),
    /// Create a TLS secret
    Tls(generators::Tls),
}

impl Create {
    /// `create rolebinding --user` names a subject, not a user of the kubeconfig.
    pub(super) fn adopt(&mut self, global: &mut crate::args::Global) {
        if matches!(
            self.what,
            Some(What::Clusterrolebinding(_) | What::Rolebinding(_))
        ) {
            self.users.extend(global.user.take());
        }
    }

    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let Some(what) = &self.what else {
            return self.read_files(context).await;
        };
        let (object, common) = match what {
            What::Clusterrole(flags) => {
                (flags.object(context, "ClusterRole").await?, &flags.common)
            }
            What::Role(flags) => (flags.object(context, "Role").await?, &flags.common),
            What::Clusterrolebinding(flags) => (
                flags.object("ClusterRoleBinding", &self.users)?,
                &flags.common,
            ),
            What::Rolebinding(flags) => (flags.object("RoleBinding", &self.users)?, &flags.common),
            What::Cronjob(flags) => (flags.object()?, &flags.common),
            What::Ingress(flags) => (flags.object()?, &flags.common),
            What::Job(flags) => (flags.object(context).await?, &flags.common),
            What::Poddisruptionbudget(flags) => (flags.object()?, &flags.common),
            What::Priorityclass(flags) => (flags.object()?, &flags.common),
            What::Quota(flags) => (flags.object()?, &flags.common),
            What::Service(flags) => (flags.object()?, flags.common()),
            What::Configmap(flags) => (flags.config_map()?, &flags.common),
            What::Deployment(flags) => (flags.object()?, &flags.common),
            What::Namespace(flags) => (flags.object("Namespace")?, &flags.common),
            What::Serviceaccount(flags) => (flags.object("ServiceAccount")?, &flags.common),
            What::Token(flags) => return flags.run(context).await,
            What::Secret(Secret {
                what: SecretKind::DockerRegistry(flags),
            }) => (flags.object()?, &flags.common),
            What::Secret(Secret {
                what: SecretKind::Generic(flags),
            }) => (flags.secret()?, &flags.common),
            What::Secret(Secret {
                what: SecretKind::Tls(flags),
            }) => (flags.object()?, &flags.common),
        };
        let cluster = matches!(
            what,
            What::Clusterrole(_)
                | What::Clusterrolebinding(_)
                | What::Namespace(_)
                | What::Priorityclass(_)
        );
        common.made(context, object, cluster).await
    }

    async fn read_files(&self, context: &Context) -> Result<()> {
        if !self.words.is_empty() {
            return Err(format!(
                "Unexpected args: [{}]\nSee 'ctl create -h' for help and examples",
                self.words.join(" ")
            )
            .into());
        }
        if self.files.filename.is_empty() && self.files.kustomize.is_none() {
            return Err("must specify one of -f and -k".into());
        }
        if let Some(path) = &self.raw {
            let [file] = self.files.filename.as_slice() else {
                return Err("--raw can only use a single local file or stdin".into());
            };
            let body = if file == "-" {
                std::io::read_to_string(std::io::stdin())?.into_bytes()
            } else {
                std::fs::read(file)?
            };
            let request = Request {
                method: Method::POST,
                body: Some(("application/json".into(), body)),
                ..Request::get(path.as_str())
            };
            let answer = context.client()?.bytes(request).await?;
            return crate::context::print(&String::from_utf8_lossy(&answer));
        }
        let labels =
            api::meta::selector::Labels::parse(self.selector.as_deref().unwrap_or_default())?;
        let entries: Vec<files::Entry> = files::read(&self.files)
            .await?
            .into_iter()
            .filter(|e| labels.matches_object(&e.object))
            .collect();
        if entries.is_empty() {
            return Err("no objects passed to create".into());
        }
        let format = Format::parse(&self.common.print, false)?;
        let mut errors = Vec::new();
        for entry in entries {
            let document = entry.document.clone();
            let wanted = match files::place(context, entry).await {
                Ok(wanted) => wanted,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            let sent = self
                .common
                .send(
                    context,
                    &wanted.resource.path(Some(&wanted.namespace)),
                    wanted.object.clone(),
                )
                .await;
            match sent {
                Ok(object) => self.common.say(&format, &object, &wanted.resource)?,
                Err(error) => {
                    let error = error.when(&format!("error when creating {:?}", wanted.source));
                    errors.push(files::locate(error, &document, &wanted.source));
                }
            }
        }
        Error::many(errors)
    }
}

impl Common {
    /// Sends an object, unless nothing is to be sent.
    async fn send(&self, context: &Context, path: &str, object: Value) -> Result<Value> {
        let dry_run = self.dry_run.get()?;
        let object = if self.save_config {
            with_last_applied(&object)
        } else {
            object
        };
        if dry_run == DryRun::Client {
            return Ok(object);
        }
        let dry = if dry_run == DryRun::Server { "All" } else { "" };
        let request = Request::send(Method::POST, path, &object)
            .query("dryRun", dry)
            .query("fieldManager", self.field_manager.as_str())
            .query("fieldValidation", field_validation(&self.validate)?);
        context.client()?.json(request).await
    }

    fn say(
        &self,
        format: &Format,
        object: &Value,
        resource: &crate::client::discovery::Resource,
    ) -> Result<()> {
        let message = format!("created{}", self.dry_run.get()?.suffix());
        printer::outcome(format, &self.print, object, resource, &message)
    }

    /// Sends an object that was made from flags.
    async fn made(&self, context: &Context, mut object: Value, cluster: bool) -> Result<()> {
        let format = Format::parse(&self.print, false)?;
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        let (group, version) = match object["apiVersion"]
            .as_str()
            .unwrap_or_default()
            .split_once('/')
        {
            Some((group, version)) => (group.to_owned(), version.to_owned()),
            None => (String::new(), "v1".to_owned()),
        };
        let resource = crate::client::discovery::Resource {
            plural: plural(&kind),
            kind,
            group,
            version,
            namespaced: !cluster,
            ..Default::default()
        };
        let explicit = context
            .explicit_namespace()
            .or(context.chosen()?.namespace.clone());
        let namespace = context.namespace()?;
        if let (false, Some(namespace)) = (cluster, explicit) {
            object["metadata"]["namespace"] = namespace.into();
        }
        let object = self
            .send(context, &resource.path(Some(&namespace)), object)
            .await
            .map_err(|error| {
                if error.reason() == "AlreadyExists"
                    || error.reason() == "Invalid"
                    || error.reason() == "Forbidden"
                {
                    return failed(error, &resource.kind);
                }
                error
            })?;
        self.say(&format, &object, &resource)
    }
}

fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    let ending = if kind.ends_with('s') { "es" } else { "s" };
    kind + ending
}

/// kubectl words the failures of some sub-commands with what was being made.
fn failed(error: Error, kind: &str) -> Error {
    const WORDED: [&str; 9] = [
        "Ingress",
        "CronJob",
        "Job",
        "PriorityClass",
        "ConfigMap",
        "Deployment",
        "ServiceAccount",
        "RoleBinding",
        "ClusterRoleBinding",
    ];
    match kind {
        "Secret" => return Error::Plain(format!("failed to create secret {error}")),
        "PodDisruptionBudget" => {
            return Error::Plain(format!("failed to create poddisruptionbudgets: {error}"));
        }
        "ResourceQuota" => return Error::Plain(format!("failed to create quota: {error}")),
        _ => {}
    }
    if WORDED.contains(&kind) {
        return Error::Plain(format!("failed to create {}: {error}", kind.to_lowercase()));
    }
    error
}
