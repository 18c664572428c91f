//! `completion`: scripts for shells, and the hidden command that they ask for candidates.
//!
//! The protocol is that of kubectl's scripts: `ctl __complete WORDS... LAST` prints a candidate a line,
//! with a tab before its description, then `:` and a number of flags (4: no file names).

use clap::Args;

use crate::client::Request;
use crate::context::{Context, line, print};
use crate::error::Result;

/// Output shell completion code for the specified shell (bash, zsh, fish, or powershell).
#[derive(Args, Debug)]
pub(crate) struct Completion {
    /// bash, zsh, fish or powershell
    words: Vec<String>,
}

/// What scripts ask.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Complete {
    /// The words of the command line; the last one is to be completed
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// The scripts, by shell.
const SCRIPTS: [(&str, &str); 4] = [
    ("bash", include_str!("../../../completions/ctl.bash")),
    ("zsh", include_str!("../../../completions/_ctl")),
    ("fish", include_str!("../../../completions/ctl.fish")),
    ("powershell", include_str!("../../../completions/ctl.ps1")),
];

impl Completion {
    pub(crate) fn run(self, _context: &Context) -> Result<()> {
        let [shell] = self.words.as_slice() else {
            let problem = if self.words.is_empty() {
                "Shell not specified."
            } else {
                "Too many arguments. Expected only the shell type."
            };
            return Err(format!("{problem}\nSee 'ctl completion -h' for help and examples").into());
        };
        match SCRIPTS.iter().find(|(name, _)| name == shell) {
            Some((_, script)) => print(script),
            None => Err(format!(
                "Unsupported shell type {shell:?}.\nSee 'ctl completion -h' for help and examples"
            )
            .into()),
        }
    }
}

/// The values of `-o`, in kubectl's order.
const OUTPUTS: [&str; 14] = [
    "json",
    "yaml",
    "kyaml",
    "name",
    "go-template",
    "go-template-file",
    "template",
    "templatefile",
    "jsonpath",
    "jsonpath-as-json",
    "jsonpath-file",
    "custom-columns",
    "custom-columns-file",
    "wide",
];

impl Complete {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let (last, before) = self
            .words
            .split_last()
            .map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
        let mut root = crate::args::command();
        root.build();
        let mut command = &root;
        let mut arguments: Vec<&str> = Vec::new();
        let mut skip = false;
        for word in before {
            if std::mem::take(&mut skip) {
                continue;
            }
            if word.starts_with('-') {
                skip = takes_value(command, word);
            } else if let Some(next) = command.find_subcommand(word) {
                command = next;
            } else {
                arguments.push(word);
            }
        }
        let found = if skip {
            let flag = before.last().map_or("", String::as_str);
            flag_values(context, command, flag, last).await
        } else if last.starts_with('-') {
            flags(command, last)
        } else if command.has_subcommands() {
            subcommands(command, last)
        } else {
            words(context, command.get_name(), &arguments, last).await
        };
        for candidate in found {
            line(&candidate)?;
        }
        line(":4")?;
        crate::context::note("Completion ended with directive: ShellCompDirectiveNoFileComp");
        Ok(())
    }
}

fn takes_value(command: &clap::Command, word: &str) -> bool {
    let find = |long: Option<&str>, short: Option<char>| {
        command.get_arguments().find(|a| {
            long.is_some() && a.get_long() == long || short.is_some() && a.get_short() == short
        })
    };
    let flag = match word.strip_prefix("--") {
        Some(long) if !long.contains('=') => find(Some(long), None),
        Some(_) => None,
        None if word.chars().count() == 2 => find(None, word.chars().nth(1)),
        None => None,
    };
    flag.is_some_and(|f| !f.is_require_equals_set() && f.get_action().takes_values())
}

fn flags(command: &clap::Command, start: &str) -> Vec<String> {
    let mut found: Vec<String> = command
        .get_arguments()
        .filter_map(|a| {
            let long = format!("--{}", a.get_long()?);
            let equals = if a.get_action().takes_values() && !a.is_require_equals_set() {
                "="
            } else {
                ""
            };
            let help = a.get_help().map(ToString::to_string).unwrap_or_default();
            long.starts_with(start)
                .then(|| format!("{long}{equals}\t{help}"))
        })
        .collect();
    found.sort();
    found
}

fn subcommands(command: &clap::Command, start: &str) -> Vec<String> {
    let mut found: Vec<String> = command
        .get_subcommands()
        .filter(|c| !c.is_hide_set() && c.get_name().starts_with(start))
        .map(|c| {
            format!(
                "{}\t{}",
                c.get_name(),
                c.get_about().map(ToString::to_string).unwrap_or_default()
            )
        })
        .collect();
    found.sort();
    found
}

async fn flag_values(
    context: &Context,
    command: &clap::Command,
    flag: &str,
    start: &str,
) -> Vec<String> {
    let long = match flag.strip_prefix("--") {
        Some(long) => long.to_owned(),
        None => {
            let short = flag.chars().nth(1);
            let known = command
                .get_arguments()
                .find(|a| a.get_short() == short && short.is_some());
            known
                .and_then(clap::Arg::get_long)
                .unwrap_or_default()
                .to_owned()
        }
    };
    match long.as_str() {
        "namespace" => names(context, "namespaces", start).await,
        "output" => OUTPUTS
            .iter()
            .filter(|o| o.starts_with(start))
            .map(|o| (*o).to_owned())
            .collect(),
        "context" => configured(context, "contexts", start),
        "cluster" => configured(context, "clusters", start),
        "user" => configured(context, "users", start),
        _ => Vec::new(),
    }
}

fn configured(context: &Context, section: &str, start: &str) -> Vec<String> {
    let names = context.config().map(|c| {
        c.section(section)
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
    });
    names
        .unwrap_or_default()
        .into_iter()
        .filter(|n| n.starts_with(start))
        .collect()
}

/// Types, and names of the type given; for commands that act on pods, pods at once.
async fn words(context: &Context, command: &str, before: &[&str], start: &str) -> Vec<String> {
    match command {
        "completion" => ["bash", "fish", "powershell", "zsh"]
            .iter()
            .filter(|s| s.starts_with(start))
            .map(|s| (*s).to_owned())
            .collect(),
        "use-context" | "delete-context" | "rename-context" | "set-context" => {
            configured(context, "contexts", start)
        }
        "delete-cluster" | "set-cluster" => configured(context, "clusters", start),
        "delete-user" | "set-credentials" => configured(context, "users", start),
        _ if start.contains('/') => {
            let (kind, name) = start.split_once('/').unwrap_or((start, ""));
            names(context, kind, name)
                .await
                .into_iter()
                .map(|n| format!("{kind}/{n}"))
                .collect()
        }
        "logs" | "exec" if before.is_empty() => names(context, "pods", start).await,
        "logs" | "exec" | "apply" | "version" | "options" => Vec::new(),
        _ => match before.split_first() {
            None => types(context, start).await,
            Some((kind, taken)) => names(context, kind, start)
                .await
                .into_iter()
                .filter(|n| !taken.contains(&n.as_str()))
                .collect(),
        },
    }
}

async fn types(context: &Context, start: &str) -> Vec<String> {
    let Ok(discovery) = context.discovery().await else {
        return Vec::new();
    };
    let mut found: Vec<String> = discovery
        .resources
        .iter()
        .map(crate::client::discovery::Resource::qualified)
        .filter(|p| p.starts_with(start))
        .collect();
    found.sort();
    found.dedup();
    found
}

async fn names(context: &Context, kind: &str, start: &str) -> Vec<String> {
    let listed = async {
        let resource = context.resource(kind).await?;
        let namespace = context.namespace()?;
        let accept =
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";
        let list = context
            .client()?
            .json(Request::get(resource.path(Some(&namespace))).accept(accept))
            .await?;
        let items = list["items"].as_array().into_iter().flatten();
        Ok::<_, crate::error::Error>(
            items
                .map(|i| api::meta::name(i).to_owned())
                .collect::<Vec<_>>(),
        )
    };
    // A shell that asks for candidates has no use for an error.
    listed
        .await
        .unwrap_or_default()
        .into_iter()
        .filter(|n| n.starts_with(start))
        .collect()
}
