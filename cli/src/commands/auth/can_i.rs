//! `auth can-i`: whether one may do something, or what one may do in a namespace.

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use crate::client::Request;
use crate::context::{Context, line, print, warn};
use crate::error::{Error, Result};
use crate::printer::table::Layout;

/// The verbs of resources.
const VERBS: [&str; 16] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "use",
    "bind",
    "impersonate",
    "*",
    "approve",
    "sign",
    "escalate",
    "attest",
];
/// The verbs of paths that are no resources.
const PATH_VERBS: [&str; 8] = [
    "get", "put", "post", "head", "options", "delete", "patch", "*",
];
/// Resources that no discovery lists: they are there to be impersonated.
const UNLISTED: [&str; 2] = ["users", "groups"];

#[derive(Args, Debug)]
pub(crate) struct CanI {
    /// The verb, and the type, type/name or path: create pods, list jobs.batch/bar, get /logs/
    words: Vec<String>,
    /// In all namespaces
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// List all that is allowed
    #[arg(long)]
    list: bool,
    /// No line with headings in the list
    #[arg(long)]
    no_headers: bool,
    /// Print nothing: the exit code tells
    #[arg(long, short = 'q')]
    quiet: bool,
    /// A part of the resource, such as log or scale
    #[arg(long, default_value = "")]
    subresource: String,
}

/// What may be allowed.
enum Action {
    Resource {
        group: String,
        resource: String,
        name: String,
        /// `None` when the server does not have it.
        namespaced: Option<bool>,
    },
    Path(String),
}

impl CanI {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        if self.list {
            if !self.words.is_empty() {
                return Err("list option must be specified with no arguments".into());
            }
            let namespace = self.namespace(context)?;
            if self.quiet || self.all_namespaces || !self.subresource.is_empty() {
                return Err("list option can't be specified with neither quiet, all-namespaces nor subresource options".into());
            }
            return self.show(context, &namespace).await;
        }
        let [verb, what] = self.words.as_slice() else {
            return Err("you must specify two arguments: verb resource or verb resource/resourceName.\nSee 'ctl auth can-i -h' for help and examples.".into());
        };
        let action = match what.starts_with('/') {
            true => Action::Path(what.clone()),
            false => {
                // What is wrong with the configuration is no matter of the resource.
                context.client()?;
                action(context, what).await
            }
        };
        let namespace = self.namespace(context)?;
        self.check(verb, &action)?;
        let allowed = self.ask(context, verb, &action, &namespace).await?;
        if allowed { Ok(()) } else { Err(Error::Exit(1)) }
    }

    fn namespace(&self, context: &Context) -> Result<String> {
        context.client()?;
        match self.all_namespaces {
            true => Ok(String::new()),
            false => context.namespace(),
        }
    }

    /// Warns of what is probably a mistake, and refuses what makes no sense.
    fn check(&self, verb: &str, action: &Action) -> Result<()> {
        let known: &[&str] = match action {
            Action::Path(_) if !self.subresource.is_empty() => {
                return Err("--subresource can not be used with NonResourceURL".into());
            }
            Action::Path(_) => &PATH_VERBS,
            Action::Resource { .. } => &VERBS,
        };
        if let Action::Resource {
            group,
            resource,
            namespaced: Some(false),
            ..
        } = action
            && !self.all_namespaces
        {
            let group = match group.as_str() {
                "" => String::new(),
                group => format!(" in group '{group}'"),
            };
            warn(&format!(
                "resource '{resource}' is not namespace scoped{group}\n"
            ));
        }
        let checked = matches!(action, Action::Path(_)) || !self.all_namespaces;
        if checked && !known.contains(&verb) {
            warn(&format!("verb '{verb}' is not a known verb\n"));
        }
        match self.no_headers {
            true => Err("--no-headers cannot be set without --list specified".into()),
            false => Ok(()),
        }
    }

    async fn ask(
        &self,
        context: &Context,
        verb: &str,
        action: &Action,
        namespace: &str,
    ) -> Result<bool> {
        let spec = match action {
            Action::Path(path) => json!({"nonResourceAttributes": {"path": path, "verb": verb}}),
            Action::Resource {
                group,
                resource,
                name,
                ..
            } => {
                let mut attributes = serde_json::Map::new();
                for (field, value) in [
                    ("namespace", namespace),
                    ("verb", verb),
                    ("group", group),
                    ("resource", resource),
                    ("subresource", &self.subresource),
                    ("name", name),
                ] {
                    if !value.is_empty() {
                        attributes.insert(field.to_owned(), value.into());
                    }
                }
                json!({"resourceAttributes": attributes})
            }
        };
        let answer = review(context, "SelfSubjectAccessReview", &spec).await?;
        let status = &answer["status"];
        let allowed = status["allowed"].as_bool().unwrap_or(false);
        let mut text = if allowed { "yes" } else { "no" }.to_owned();
        if !allowed {
            for field in ["reason", "evaluationError"] {
                if let Some(why) = status[field].as_str().filter(|why| !why.is_empty()) {
                    text.push_str(&format!(" - {why}"));
                }
            }
        }
        if !self.quiet {
            line(&text)?;
        }
        Ok(allowed)
    }

    async fn show(&self, context: &Context, namespace: &str) -> Result<()> {
        let spec = json!({"namespace": namespace});
        let answer = review(context, "SelfSubjectRulesReview", &spec).await?;
        let status = &answer["status"];
        if status["incomplete"].as_bool().unwrap_or(false) {
            let why = status["evaluationError"].as_str().unwrap_or_default();
            warn(&format!("the list may be incomplete: {why}"));
        }
        let lists = ["resourceRules", "nonResourceRules"];
        let rules = lists.iter().flat_map(|list| status[*list].as_array());
        let rules: Vec<Value> = rules.flatten().cloned().collect();
        let mut layout = Layout::default();
        if !self.no_headers {
            let heads = ["Resources", "Non-Resource URLs", "Resource Names", "Verbs"];
            layout.push(heads.map(str::to_owned).to_vec());
        }
        for row in api::kinds::rule_rows(&rules) {
            layout.push(row.to_vec());
        }
        print(&layout.flush())
    }
}

/// The resource that a word means. One that the server does not have is taken as it is.
async fn action(context: &Context, word: &str) -> Action {
    let (kind, name) = word.split_once('/').unwrap_or((word, ""));
    let name = name.to_owned();
    let unknown = |name| Action::Resource {
        group: String::new(),
        resource: kind.to_owned(),
        name,
        namespaced: None,
    };
    if kind == "*" {
        return unknown(name);
    }
    let lower = kind.to_lowercase();
    match context.resource(&lower).await {
        Ok(found) => Action::Resource {
            group: found.group,
            resource: found.plural,
            name,
            namespaced: Some(found.namespaced),
        },
        Err(_) => {
            let (resource, group) = lower.split_once('.').unwrap_or((&lower, ""));
            let group = match group {
                "" => String::new(),
                group => format!(" in group '{group}'"),
            };
            if !UNLISTED.contains(&lower.as_str()) {
                warn(&format!(
                    "the server doesn't have a resource type '{resource}'{group}\n"
                ));
            }
            unknown(name)
        }
    }
}

/// Asks the server a question about the user of this run.
async fn review(context: &Context, kind: &str, spec: &Value) -> Result<Value> {
    let version = "authorization.k8s.io/v1";
    let path = format!("/apis/{version}/{}s", kind.to_lowercase());
    let question = json!({"kind": kind, "apiVersion": version, "metadata": {}, "spec": spec});
    let request = Request::send(Method::POST, path, &question);
    context.client()?.json(request).await
}
