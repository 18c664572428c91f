//! `auth reconcile`: brings roles and bindings to what files say, adding rules and subjects rather than
//! replacing them.

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::rules::{self, Operation, Plan};
use crate::args::{DryRun, DryRunFlag, Files, Print};
use crate::client::Request;
use crate::context::{Context, note, print};
use crate::error::{Error, Result};
use crate::printer::{self, Format};
use crate::target::files;

const GROUP: &str = "rbac.authorization.k8s.io";
/// How often is tried what others change at the same time.
const ATTEMPTS: usize = 3;

#[derive(Args, Debug)]
pub(crate) struct Reconcile {
    /// Nothing
    #[arg(hide = true)]
    words: Vec<String>,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    print: Print,
    #[command(flatten)]
    dry_run: DryRunFlag,
    /// Take away rules that the files do not have
    #[arg(long)]
    remove_extra_permissions: bool,
    /// Take away subjects that the files do not have
    #[arg(long)]
    remove_extra_subjects: bool,
}

impl Reconcile {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        if self.files.filename.is_empty() && self.files.kustomize.is_none() {
            return Err("must specify one of -f and -k".into());
        }
        if !self.words.is_empty() {
            return Err("no arguments are allowed".into());
        }
        let dry_run = self
            .dry_run
            .get()
            .map_err(|error| error.when("error accessing --dry-run flag for command reconcile"))?;
        if dry_run == DryRun::Server {
            return Err("--dry-run=server for command reconcile is not supported yet".into());
        }
        context.namespace()?;
        let entries = files::read(&self.files).await?;
        context.client()?;
        let format = Format::parse(&self.print, false)?;
        let mut errors = Vec::new();
        let mut shown = 0;
        for entry in entries {
            match self.one(context, &entry.object, dry_run).await {
                Ok(None) => {}
                Ok(Some(plan)) => {
                    if shown > 0 && matches!(format, Format::Yaml) {
                        print("---\n")?;
                    }
                    shown += 1;
                    let kind = entry.object["kind"].as_str().unwrap_or_default();
                    self.show(&plan, kind, dry_run, &format)?;
                }
                Err(error) => errors.push(error),
            }
        }
        Error::many(errors)
    }

    /// Reconciles one object; other kinds are passed over.
    async fn one(
        &self,
        context: &Context,
        object: &Value,
        dry_run: DryRun,
    ) -> Result<Option<Plan>> {
        let text = |field: &str| object[field].as_str().unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        let kinds = ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"];
        let group = version.split_once('/').map_or("", |(group, _)| group);
        if group != GROUP || !kinds.contains(&kind) {
            return Ok(None);
        }
        if version != format!("{GROUP}/v1") {
            let version = version.rsplit('/').next().unwrap_or_default();
            return Err(format!("only {GROUP}/v1 is supported: not *{version}.{kind}").into());
        }
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.apply(context, kind, object, dry_run).await {
                Err(error)
                    if attempts < ATTEMPTS
                        && matches!(error.reason(), "Conflict" | "AlreadyExists" | "NotFound") => {}
                plan => return plan.map(Some),
            }
        }
    }

    /// Makes the plan for one object, and does it.
    async fn apply(
        &self,
        context: &Context,
        kind: &str,
        object: &Value,
        dry_run: DryRun,
    ) -> Result<Plan> {
        let client = context.client()?;
        let namespace = api::meta::namespace(object);
        let place = match namespace {
            "" => String::new(),
            namespace => format!("namespaces/{namespace}/"),
        };
        let all = format!("/apis/{GROUP}/v1/{place}{}s", kind.to_lowercase());
        let own = format!("{all}/{}", api::meta::name(object));
        let present = match client.json(Request::get(own.as_str())).await {
            Err(error) if error.is_not_found() => None,
            present => Some(present?),
        };
        let remove = match rules::list_of(kind) {
            "rules" => self.remove_extra_permissions,
            _ => self.remove_extra_subjects,
        };
        let mut plan = rules::plan(kind, object, present.as_ref(), remove);
        if plan.protected || dry_run == DryRun::Client {
            return Ok(plan);
        }
        if plan.operation == Operation::Recreate {
            let uid = present.as_ref().map_or("", api::meta::uid);
            let options = json!({
                "kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid},
            });
            let request = Request::send(Method::DELETE, own.as_str(), &options);
            match client.json(request).await {
                Err(error) if error.is_not_found() => {}
                deleted => drop(deleted?),
            }
        }
        let request = match plan.operation {
            Operation::None => return Ok(plan),
            Operation::Update => Request::send(Method::PUT, own, &plan.object),
            Operation::Create | Operation::Recreate => {
                if !namespace.is_empty() {
                    ensure_namespace(context, namespace).await?;
                }
                Request::send(Method::POST, all, &plan.object)
            }
        };
        plan.object = client.json(request).await?;
        Ok(plan)
    }

    fn show(&self, plan: &Plan, kind: &str, dry_run: DryRun, format: &Format) -> Result<()> {
        match format.is_human() {
            true => print(&format!(
                "{}.{GROUP}/{} reconciled{}\n",
                kind.to_lowercase(),
                api::meta::name(&plan.object),
                dry_run.suffix()
            ))?,
            false => {
                let object = match self.print.show_managed_fields {
                    true => plan.object.clone(),
                    false => printer::without_managed_fields(plan.object.clone()),
                };
                format.print(&object, None)?;
            }
        }
        let Some(word) = plan.operation.word() else {
            return Ok(());
        };
        let caveat = match plan.protected {
            true => ", but object opted out (rbac.authorization.kubernetes.io/autoupdate: false)",
            false => "",
        };
        note(&format!("\treconciliation required {word}{caveat}"));
        let list = rules::list_of(kind);
        let removes = match list {
            "rules" => self.remove_extra_permissions,
            _ => self.remove_extra_subjects,
        };
        let extra = if removes { plan.extra.as_slice() } else { &[] };
        for (items, what) in [
            (plan.missing.as_slice(), format!("missing {list} added")),
            (extra, format!("extra {list} removed")),
        ] {
            if items.is_empty() {
                continue;
            }
            note(&format!("\t{what}:"));
            for item in items {
                note(&format!("\t\t{}", rules::shown(list, item)));
            }
        }
        Ok(())
    }
}

/// Makes a namespace that is not there. One who may not look or make may still use it.
async fn ensure_namespace(context: &Context, name: &str) -> Result<()> {
    let client = context.client()?;
    let there = client
        .json(Request::get(format!("/api/v1/namespaces/{name}")))
        .await;
    match there {
        Ok(_) => return Ok(()),
        Err(error) if matches!(error.reason(), "NotFound" | "Forbidden") => {}
        Err(error) => return Err(error),
    }
    let namespace = json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}});
    let request = Request::send(Method::POST, "/api/v1/namespaces", &namespace);
    match client.json(request).await {
        Err(error) if !matches!(error.reason(), "AlreadyExists" | "Forbidden") => Err(error),
        _ => Ok(()),
    }
}
