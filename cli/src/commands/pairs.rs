//! What `label` and `annotate` share: keys with values, set or removed by a merge patch.

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use crate::args::{DryRun, DryRunFlag, Files, Print};
use crate::client::Request;
use crate::context::{Context, line};
use crate::error::{Error, Result};
use crate::printer::{self, Format};
use crate::target::{self, Spec, Wanted, files};

/// The flags of both commands.
#[derive(Args, Clone, Debug)]
pub(crate) struct Flags {
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
    #[command(flatten)]
    dry_run: DryRunFlag,
    /// The name under which fields are owned
    #[arg(long)]
    field_manager: Option<String>,
    /// Only objects whose fields fit
    #[arg(long)]
    field_selector: Option<String>,
    /// Print what there is
    #[arg(long)]
    list: bool,
    /// Change what the files hold, and ask no server
    #[arg(long)]
    local: bool,
    /// Change values that are there
    #[arg(long)]
    overwrite: bool,
    /// Only if the object has this version
    #[arg(long)]
    resource_version: Option<String>,
    /// Only objects whose labels fit
    #[arg(long, short = 'l')]
    selector: Option<String>,
}

/// Which map is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// `metadata.labels`.
    Labels,
    /// `metadata.annotations`.
    Annotations,
}

impl What {
    fn field(self) -> &'static str {
        if self == Self::Labels {
            "labels"
        } else {
            "annotations"
        }
    }

    fn one(self) -> &'static str {
        if self == Self::Labels {
            "label"
        } else {
            "annotation"
        }
    }
}

/// A change to be made to objects.
pub(crate) struct Change {
    what: What,
    resources: Vec<String>,
    set: Vec<(String, String)>,
    remove: Vec<String>,
    flags: Flags,
}

impl Change {
    /// Takes the words apart: resources come first, then pairs.
    pub(crate) fn new(what: What, words: Vec<String>, mut flags: Flags) -> Result<Self> {
        // kubectl reads all folders for the one and not for the other.
        flags
            .files
            .recursive
            .get_or_insert(what == What::Annotations);
        let mut change = Self {
            what,
            resources: Vec::new(),
            set: Vec::new(),
            remove: Vec::new(),
            flags,
        };
        let mut pairs = false;
        for word in words {
            pairs |= word.contains('=') || word.ends_with('-');
            if !pairs {
                change.resources.push(word);
                continue;
            }
            change.pair(&word)?;
        }
        change.check()?;
        Ok(change)
    }

    fn pair(&mut self, word: &str) -> Result<()> {
        match word.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                if self.what == What::Labels {
                    let problems = api::meta::name::label_value(value);
                    if !problems.is_empty() {
                        return Err(format!(
                            "invalid label value: {word:?}: {}",
                            problems.join("; ")
                        )
                        .into());
                    }
                }
                self.set.push((key.to_owned(), value.to_owned()));
            }
            None if word.ends_with('-') => self.remove.push(word.trim_end_matches('-').to_owned()),
            _ => return Err(format!("unknown {} spec: {word}", self.what.one()).into()),
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let files = &self.flags.files;
        if self.resources.is_empty() && files.filename.is_empty() && files.kustomize.is_none() {
            return Err(
                "one or more resources must be specified as <resource> <name> or <resource>/<name>"
                    .into(),
            );
        }
        if self.set.is_empty() && self.remove.is_empty() && !self.flags.list {
            return Err(format!("at least one {} update is required", self.what.one()).into());
        }
        let both = |key: &String| self.set.iter().any(|(set, _)| set == key);
        if self.remove.iter().any(both) {
            let article = if self.what == What::Labels { "a" } else { "an" };
            return Err(format!(
                "can not both modify and remove {article} {} in the same command",
                self.what.one()
            )
            .into());
        }
        Ok(())
    }

    /// Makes the change on every object.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let dry_run = self.flags.dry_run.get()?;
        let format = Format::parse(&self.flags.print, false)?;
        let spec = Spec {
            words: self.resources.clone(),
            files: self.flags.files.clone(),
            labels: self.flags.selector.clone().unwrap_or_default(),
            fields: self.flags.field_selector.clone().unwrap_or_default(),
            all_namespaces: self.flags.all_namespaces,
            all: self.flags.all,
            ..Spec::default()
        };
        let (found, mut errors) = if self.flags.local {
            let entries = files::read(&spec.files).await?.into_iter();
            (entries.map(files::unplaced).collect(), Vec::new())
        } else {
            target::objects(context, &spec).await?
        };
        let several =
            self.flags.list && !self.flags.local && !target::resolve(context, &spec).await?.single;
        for wanted in found {
            if let Err(error) = self.one(context, &wanted, dry_run, &format, several).await {
                errors.push(error);
            }
        }
        Error::many(errors)
    }

    async fn one(
        &self,
        context: &Context,
        wanted: &Wanted,
        dry_run: DryRun,
        format: &Format,
        several: bool,
    ) -> Result<()> {
        let current = wanted.object["metadata"][self.what.field()].clone();
        if self.flags.list {
            if several {
                line(&format!(
                    "Listing {} for {}.{}/{}:",
                    self.what.field(),
                    wanted.resource.kind,
                    wanted.resource.group,
                    wanted.name
                ))?;
            }
            for (key, value) in current.as_object().into_iter().flatten() {
                line(&format!(
                    "{}{key}={}",
                    if several { " " } else { "" },
                    value.as_str().unwrap_or_default()
                ))?;
            }
            return Ok(());
        }
        self.check_overwrite(&current)?;
        let mut patch = serde_json::Map::new();
        let mut message = "";
        for (key, value) in &self.set {
            if current[key.as_str()] != value.as_str() {
                patch.insert(key.clone(), value.clone().into());
                message = "set";
            }
        }
        for key in &self.remove {
            if current[key.as_str()].is_null() {
                if self.what == What::Labels {
                    line(&format!("label {key:?} not found."))?;
                }
            } else {
                patch.insert(key.clone(), Value::Null);
                if message.is_empty() {
                    message = "removed";
                }
            }
        }
        let mut object = wanted.object.clone();
        let mut body = json!({"metadata": {self.what.field(): patch}});
        let changed = !message.is_empty();
        if let Some(version) = &self.flags.resource_version {
            body["metadata"]["resourceVersion"] = version.clone().into();
        }
        if self.flags.local || dry_run == DryRun::Client || !changed {
            object = api::patch::merge::apply(&object, &body);
        } else {
            let manager =
                self.flags
                    .field_manager
                    .as_deref()
                    .unwrap_or(if self.what == What::Labels {
                        "kubectl-label"
                    } else {
                        "kubectl-annotate"
                    });
            let dry = if dry_run == DryRun::Server { "All" } else { "" };
            let request = Request::with_body(
                Method::PATCH,
                wanted.path(),
                "application/merge-patch+json",
                &body,
            );
            object = context
                .client()?
                .json(request.query("dryRun", dry).query("fieldManager", manager))
                .await?;
        }
        let verb = match (self.what, message) {
            (What::Annotations, _) => "annotated",
            (What::Labels, "set") => "labeled",
            (What::Labels, "removed") => "unlabeled",
            _ => "not labeled",
        };
        printer::outcome(
            format,
            &self.flags.print,
            &object,
            &wanted.resource,
            &format!("{verb}{}", dry_run.suffix()),
        )
    }

    fn check_overwrite(&self, current: &Value) -> Result<()> {
        if self.flags.overwrite {
            return Ok(());
        }
        let mut taken = Vec::new();
        for (key, value) in &self.set {
            if let Some(is) = current[key.as_str()].as_str().filter(|is| is != value) {
                taken.push(format!("'{key}' already has a value ({is})"));
            }
        }
        if taken.is_empty() {
            return Ok(());
        }
        if self.what == What::Labels {
            return Error::many(
                taken
                    .into_iter()
                    .map(|t| Error::Plain(format!("{t}, and --overwrite is false")))
                    .collect(),
            );
        }
        Err(format!(
            "--overwrite is false but found the following declared annotation(s): {}",
            taken.join("; ")
        )
        .into())
    }
}
