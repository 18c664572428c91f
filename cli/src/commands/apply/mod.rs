//! `apply`: makes the cluster's objects what files say, by a three-way merge with the configuration
//! applied last, or by the server.

mod migrate;
mod prune;

use clap::Args;
use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use self::migrate::Patch;
use self::prune::Visited;
use crate::args::{DryRun, DryRunFlag, Files, Print};
use crate::client::Request;
use crate::commands::delete;
use crate::context::{Context, note};
use crate::duration;
use crate::error::{Error, Result};
use crate::printer::{self, Format};
use crate::target::Wanted;
use crate::target::files::{self, Entry};

/// Where the configuration that was applied last is kept.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Apply a configuration to a resource by file name or stdin.
///
/// The resource name must be given. The resource is created if it doesn't exist.
#[derive(Args, Clone, Debug)]
pub(crate) struct Apply {
    /// Nothing: objects come from files
    #[arg(hide = true)]
    words: Vec<String>,
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    print: Print,
    /// With --prune, all objects of the default kinds
    #[arg(long)]
    all: bool,
    /// With --force, what becomes of dependents
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "background", default_missing_value = "background")]
    cascade: String,
    #[command(flatten)]
    dry_run: DryRunFlag,
    /// The name under which fields are owned
    #[arg(long)]
    field_manager: Option<String>,
    /// Delete and create an object that can't be changed
    #[arg(long)]
    force: bool,
    /// With --server-side, take over fields that others own
    #[arg(long)]
    force_conflicts: bool,
    /// With --force, seconds that the old object has to end
    #[arg(long, default_value_t = -1)]
    grace_period: i64,
    /// Accepted so that scripts work: merges always know the schema
    #[arg(long, action = clap::ArgAction::Set, default_value_t = true, hide = true)]
    openapi_patch: bool,
    /// Overwrite values that were changed since
    #[arg(long, action = clap::ArgAction::Set, default_value_t = true)]
    overwrite: bool,
    /// Delete objects that an earlier apply made and the files no longer hold; needs --all or -l
    #[arg(long)]
    prune: bool,
    /// With --prune, the kinds to look through, as group/version/kind; repeatable
    #[arg(long)]
    prune_allowlist: Vec<String>,
    /// Only objects of the files whose labels fit
    #[arg(long, short = 'l')]
    selector: Option<String>,
    /// Let the server merge
    #[arg(long)]
    server_side: bool,
    /// With --server-side, the part of the objects to change
    #[arg(long)]
    subresource: Option<String>,
    /// With --force, how long to wait for the end of the old object
    #[arg(long, value_parser = duration::parse, default_value = "0s")]
    timeout: SignedDuration,
    /// strict, warn or ignore unknown fields
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "strict", default_missing_value = "strict")]
    validate: String,
    /// With --force, wait for the end of the old object
    #[arg(long)]
    wait: bool,
}

/// The value of `fieldValidation` for a `--validate` flag.
pub(crate) fn field_validation(flag: &str) -> Result<&'static str> {
    match flag {
        "strict" | "true" => Ok("Strict"),
        "warn" => Ok("Warn"),
        "ignore" | "false" => Ok("Ignore"),
        other => Err(format!("invalid - validate option {other:?}; must be one of: strict (or true), warn, ignore (or false)").into()),
    }
}

/// What happened to an object.
struct Done {
    object: Value,
    message: &'static str,
}

impl Apply {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let dry_run = self.dry_run.get()?;
        let format = Format::parse(&self.print, false)?;
        self.check(dry_run)?;
        let validation = field_validation(&self.validate)?;
        let pruned = if self.prune {
            prune::kinds(&self, context).await?
        } else {
            Vec::new()
        };
        let mut wanted = Vec::new();
        for entry in files::read(&self.files).await? {
            let Entry {
                object,
                source,
                document,
            } = entry;
            if self.fits(&object)? {
                let copy = Entry {
                    object,
                    source,
                    document: document.clone(),
                };
                wanted.push((copy, document));
            }
        }
        if wanted.is_empty() {
            return Err("no objects passed to apply".into());
        }
        let mut errors = Vec::new();
        let mut printed = Vec::new();
        let mut visited = Visited::default();
        visited.namespaces.extend(context.explicit_namespace());
        for (entry, document) in wanted {
            let target = match files::place(context, entry).await {
                Ok(target) => target,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            if target.resource.namespaced {
                visited.namespaces.insert(target.namespace.clone());
            }
            let done = self.one(context, &target, dry_run, validation).await;
            if let Ok(done) = &done {
                visited.uids.insert(api::meta::uid(&done.object).to_owned());
            }
            match done {
                Ok(done) if format.is_human() => {
                    let object = if api::meta::name(&done.object).is_empty() {
                        &target.object
                    } else {
                        &done.object
                    };
                    let message = format!("{}{}", done.message, dry_run.suffix());
                    printer::outcome(&format, &self.print, object, &target.resource, &message)?;
                }
                Ok(done) => printed.push((done.object, target.resource)),
                Err(error) => errors.push(files::locate(error, &document, &target.source)),
            }
        }
        self.objects(&format, printed)?;
        Error::many(errors)?;
        prune::run(&self, context, &pruned, &visited, &format).await
    }

    fn check(&self, dry_run: DryRun) -> Result<()> {
        if !self.words.is_empty() {
            return Err(format!(
                "Unexpected args: [{}]\nSee 'ctl apply -h' for help and examples",
                self.words.join(" ")
            )
            .into());
        }
        match (self.files.filename.is_empty(), &self.files.kustomize) {
            (true, None) => return Err("must specify one of -f and -k".into()),
            (false, Some(_)) => return Err("only one of -f or -k can be specified".into()),
            _ => {}
        }
        if self.force_conflicts && !self.server_side {
            return Err("--force-conflicts only works with --server-side".into());
        }
        if self.server_side && self.force {
            return Err("--force cannot be used with --server-side".into());
        }
        if self.server_side && dry_run == DryRun::Client {
            return Err("--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)".into());
        }
        prune::check(self)
    }

    fn fits(&self, object: &Value) -> Result<bool> {
        match self.selector.as_deref().filter(|s| !s.is_empty()) {
            Some(selector) => {
                Ok(api::meta::selector::Labels::parse(selector)?.matches_object(object))
            }
            None => Ok(true),
        }
    }

    fn objects(
        &self,
        format: &Format,
        mut printed: Vec<(Value, crate::client::discovery::Resource)>,
    ) -> Result<()> {
        let clean = |object: Value| {
            if self.print.show_managed_fields {
                object
            } else {
                printer::without_managed_fields(object)
            }
        };
        if printed.len() == 1 {
            let (object, resource) = printed.swap_remove(0);
            return format.print(&clean(object), Some(&resource));
        }
        if printed.is_empty() {
            return Ok(());
        }
        let items: Vec<Value> = printed
            .into_iter()
            .map(|(object, _)| clean(object))
            .collect();
        let list = json!({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {}});
        format.print(&list, None)
    }

    fn manager(&self) -> &str {
        let default = if self.server_side {
            "kubectl"
        } else {
            "kubectl-client-side-apply"
        };
        self.field_manager.as_deref().unwrap_or(default)
    }

    fn parameters(&self, request: Request, dry_run: DryRun, validation: &str) -> Request {
        let dry = if dry_run == DryRun::Server { "All" } else { "" };
        request
            .query("dryRun", dry)
            .query("fieldManager", self.manager())
            .query("fieldValidation", validation)
    }

    async fn one(
        &self,
        context: &Context,
        target: &Wanted,
        dry_run: DryRun,
        validation: &str,
    ) -> Result<Done> {
        if target.name.is_empty() {
            let generated = target.object["metadata"]["generateName"]
                .as_str()
                .unwrap_or_default();
            if !generated.is_empty() {
                return Err(
                    format!("from {generated}: cannot use generate name with apply").into(),
                );
            }
            return Err(format!("error when retrieving current configuration of:\nResource: \"{}, Resource={}\", GroupVersionKind: \"{}, Kind={}\"\nName: \"\", Namespace: {:?}\nfrom server for: {:?}: resource name may not be empty",
                version_comma(target), target.resource.plural, version_comma(target), target.resource.kind, target.namespace, target.source).into());
        }
        if self.server_side {
            return self.by_server(context, target, dry_run, validation).await;
        }
        let modified = with_last_applied(&target.object);
        let current = match target.fetch(context).await {
            Ok(current) => current,
            Err(error) if error.is_not_found() => {
                return self
                    .create(context, target, modified, dry_run, validation)
                    .await;
            }
            Err(error) => return Err(error.when(&retrieving(target))),
        };
        if api::meta::annotation(&current, LAST_APPLIED).is_none() && dry_run != DryRun::Client {
            note(&format!(
                "Warning: resource {}/{} is missing the {LAST_APPLIED} annotation which is required by ctl apply. ctl apply should only be used on resources created declaratively by either ctl create --save-config or ctl apply. The missing annotation will be patched automatically.",
                target.resource.plural, target.name
            ));
        }
        self.patch(context, target, &modified, current, dry_run, validation)
            .await
    }

    async fn create(
        &self,
        context: &Context,
        target: &Wanted,
        object: Value,
        dry_run: DryRun,
        validation: &str,
    ) -> Result<Done> {
        if dry_run == DryRun::Client {
            return Ok(Done {
                object,
                message: "created",
            });
        }
        let path = target.resource.path(Some(&target.namespace));
        let request = self.parameters(
            Request::send(Method::POST, path, &object),
            dry_run,
            validation,
        );
        let object = context
            .client()?
            .json(request)
            .await
            .map_err(|e| e.when(&format!("error when creating {:?}", target.source)))?;
        Ok(Done {
            object,
            message: "created",
        })
    }

    async fn patch(
        &self,
        context: &Context,
        target: &Wanted,
        modified: &Value,
        mut current: Value,
        dry_run: DryRun,
        validation: &str,
    ) -> Result<Done> {
        let mut conflicts = 0;
        loop {
            let (kind, patch) = merge(target, modified, &current)?;
            if patch.as_object().is_some_and(serde_json::Map::is_empty) {
                return Ok(Done {
                    object: current,
                    message: "unchanged",
                });
            }
            if dry_run == DryRun::Client {
                let object = match schema(&target.resource) {
                    Some(schema) => api::patch::strategic::apply(schema, &current, &patch)
                        .map_err(|error| error.to_string())?,
                    None => api::patch::merge::apply(&current, &patch),
                };
                return Ok(Done {
                    object,
                    message: "configured",
                });
            }
            let request = Request::with_body(Method::PATCH, target.path(), kind, &patch);
            match context
                .client()?
                .json(self.parameters(request, dry_run, validation))
                .await
            {
                Ok(object) => {
                    return Ok(Done {
                        object,
                        message: "configured",
                    });
                }
                Err(error) if error.reason() == "Conflict" && conflicts < 5 => {
                    conflicts += 1;
                    current = target.fetch(context).await?;
                }
                Err(error) if self.force && matches!(error.reason(), "Conflict" | "Invalid") => {
                    return self
                        .replace(context, target, modified.clone(), dry_run, validation)
                        .await;
                }
                Err(error) => {
                    let error = error.when(&format!("error when patching {:?}", target.source));
                    return Err(error.when(&applying(target, &patch)));
                }
            }
        }
    }

    /// Deletes and creates again.
    async fn replace(
        &self,
        context: &Context,
        target: &Wanted,
        object: Value,
        dry_run: DryRun,
        validation: &str,
    ) -> Result<Done> {
        let propagation = delete::propagation(&self.cascade)?;
        let mut options =
            json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation});
        if self.grace_period >= 0 {
            options["gracePeriodSeconds"] = self.grace_period.into();
        }
        context
            .client()?
            .json(Request::send(Method::DELETE, target.path(), &options))
            .await?;
        let timeout = duration::positive(self.timeout);
        let timeout = if timeout.is_zero() {
            std::time::Duration::from_secs(300)
        } else {
            timeout
        };
        crate::commands::delete::until_gone(
            context,
            target,
            None,
            std::time::Instant::now() + timeout,
        )
        .await?;
        let done = self
            .create(context, target, object, dry_run, validation)
            .await?;
        Ok(Done {
            message: "configured",
            ..done
        })
    }

    async fn by_server(
        &self,
        context: &Context,
        target: &Wanted,
        dry_run: DryRun,
        validation: &str,
    ) -> Result<Done> {
        let path = match &self.subresource {
            Some(part) => format!("{}/{part}", target.path()),
            None => target.path(),
        };
        let force = if self.force_conflicts {
            "true"
        } else {
            "false"
        };
        let send = |kind: Patch, body: &Value, manager: &str| {
            let request = Request::with_body(Method::PATCH, path.as_str(), kind.kind(), body);
            let dry = if dry_run == DryRun::Server { "All" } else { "" };
            let request = request
                .query("dryRun", dry)
                .query("fieldManager", manager)
                .query("fieldValidation", validation);
            request.query("force", if kind == Patch::Apply { force } else { "" })
        };
        let client = context.client()?;
        let applied = client
            .json(send(Patch::Apply, &target.object, self.manager()))
            .await
            .map_err(explain_conflict)?;
        let migration = migrate::Migration {
            client,
            manager: self.manager(),
            send: &send,
        };
        let object = migration.run(target, applied).await?;
        Ok(Done {
            object,
            message: "serverside-applied",
        })
    }
}

/// kubectl's advice after a conflict of server-side apply.
fn explain_conflict(error: Error) -> Error {
    const ADVICE: &str = "\nPlease review the fields above--they currently have other managers. Here\nare the ways you can resolve this warning:\n* If you intend to manage all of these fields, please re-run the apply\n  command with the `--force-conflicts` flag.\n* If you do not intend to manage all of the fields, please edit your\n  manifest to remove references to the fields that should keep their\n  current managers.\n* You may co-own fields by updating your manifest to match the existing\n  value; in this case, you'll become the manager if the other manager(s)\n  stop managing the field (remove it from their configuration).\nSee https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts";
    match error {
        Error::Status {
            status, context, ..
        } if status["reason"] == "Conflict" => Error::Bare(format!(
            "error: {}{}{ADVICE}",
            if context.is_empty() {
                String::new()
            } else {
                format!("{context}: ")
            },
            crate::error::status_message(&status),
        )),
        other => other,
    }
}

/// The object with its own JSON in an annotation, which the next apply compares with.
pub(crate) fn with_last_applied(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
        annotations.remove(LAST_APPLIED);
    } else {
        object["metadata"]["annotations"] = json!({});
    }
    let text = format!("{}\n", printer::json::compact(&object));
    object["metadata"]["annotations"][LAST_APPLIED] = text.into();
    object
}

/// The patch from what is there to what is wanted, and its content type.
fn merge(target: &Wanted, modified: &Value, current: &Value) -> Result<(&'static str, Value)> {
    let original: Value = match api::meta::annotation(current, LAST_APPLIED) {
        Some(text) => serde_json::from_str(text)
            .map_err(|e| format!("the annotation {LAST_APPLIED} is damaged: {e}"))?,
        None => json!({}),
    };
    match schema(&target.resource) {
        Some(schema) => {
            let patch = api::patch::strategic::three_way(schema, &original, modified, current)
                .map_err(|e| format!("creating patch with:\noriginal:\n{original}\nmodified:\n{modified}\ncurrent:\n{current}\nfor: {e}"))?;
            Ok(("application/strategic-merge-patch+json", patch))
        }
        None => Ok((
            "application/merge-patch+json",
            api::patch::merge::three_way(&original, modified, current),
        )),
    }
}

/// The schema of a kind that every Kubernetes has.
pub(crate) fn schema(
    resource: &crate::client::discovery::Resource,
) -> Option<&'static api::schema::Schema> {
    let (version, kind) = (&resource.version, &resource.kind);
    let name = match resource.group.as_str() {
        "" => format!("io.k8s.api.core.{version}.{kind}"),
        "apiextensions.k8s.io" => {
            format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{version}.{kind}")
        }
        "apiregistration.k8s.io" => {
            format!("io.k8s.kube-aggregator.pkg.apis.apiregistration.{version}.{kind}")
        }
        group => format!(
            "io.k8s.api.{}.{version}.{kind}",
            group.split('.').next().unwrap_or(group)
        ),
    };
    api::schema::of(&name)
}

fn version_comma(target: &Wanted) -> String {
    format!("{}/{}", target.resource.group, target.resource.version)
}

fn identity(target: &Wanted) -> String {
    let gv = version_comma(target);
    format!(
        "Resource: \"{gv}, Resource={}\", GroupVersionKind: \"{gv}, Kind={}\"\nName: {:?}, Namespace: {:?}",
        target.resource.plural, target.resource.kind, target.name, target.namespace
    )
}

fn retrieving(target: &Wanted) -> String {
    format!(
        "error when retrieving current configuration of:\n{}\nfrom server for: {:?}",
        identity(target),
        target.source
    )
}

fn applying(target: &Wanted, patch: &Value) -> String {
    format!(
        "error when applying patch:\n{}\nto:\n{}\nfor: {:?}",
        printer::json::compact(patch),
        identity(target),
        target.source
    )
}
