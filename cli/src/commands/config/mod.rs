//! `config`: reads and changes kubeconfig files.

mod credentials;
mod edit;
mod view;

use clap::{Args, Subcommand};

use crate::context::{Context, line, print};
use crate::error::Result;
use crate::printer::table::Layout;

/// Modify kubeconfig files.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(crate) struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Display the current-context
    CurrentContext,
    /// Delete the specified cluster from the kubeconfig
    DeleteCluster(Name),
    /// Delete the specified context from the kubeconfig
    DeleteContext(Name),
    /// Delete the specified user from the kubeconfig
    DeleteUser(Name),
    /// Display clusters defined in the kubeconfig
    GetClusters,
    /// Describe one or many contexts
    GetContexts(GetContexts),
    /// Display users defined in the kubeconfig
    GetUsers,
    /// Rename a context from the kubeconfig file
    RenameContext(Rename),
    /// Set an individual value in a kubeconfig file
    Set(edit::Set),
    /// Set a cluster entry in kubeconfig
    SetCluster(edit::SetCluster),
    /// Set a context entry in kubeconfig
    SetContext(edit::SetContext),
    /// Set a user entry in kubeconfig
    SetCredentials(credentials::SetCredentials),
    /// Unset an individual value in a kubeconfig file
    Unset(edit::Unset),
    /// Set the current-context in a kubeconfig file
    #[command(alias = "use")]
    UseContext(Name),
    /// Display merged kubeconfig settings or a specified kubeconfig file
    View(view::View),
}

#[derive(Args, Debug)]
pub(crate) struct Name {
    /// The name
    words: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Rename {
    /// The context and its new name
    words: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct GetContexts {
    /// Only these
    words: Vec<String>,
    /// No line with headings
    #[arg(long)]
    no_headers: bool,
    /// name prints only names
    #[arg(long, short = 'o')]
    output: Option<String>,
}

impl Config {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        match self.command {
            Command::CurrentContext => {
                let current = &context.config()?.current_context;
                if current.is_empty() {
                    return Err("current-context is not set".into());
                }
                line(current)
            }
            Command::DeleteCluster(name) => {
                edit::delete(context, "clusters", "cluster", &name.words)
            }
            Command::DeleteContext(name) => {
                edit::delete(context, "contexts", "context", &name.words)
            }
            Command::DeleteUser(name) => edit::delete(context, "users", "user", &name.words),
            Command::GetClusters => names(context, "clusters"),
            Command::GetUsers => names(context, "users"),
            Command::GetContexts(command) => command.run(context),
            Command::RenameContext(command) => edit::rename(context, &command.words),
            Command::Set(command) => command.run(context),
            Command::SetCluster(command) => command.run(context),
            Command::SetContext(command) => command.run(context),
            Command::SetCredentials(command) => command.run(context),
            Command::Unset(command) => command.run(context),
            Command::UseContext(name) => edit::use_context(context, &name.words),
            Command::View(command) => command.run(context),
        }
    }
}

fn names(context: &Context, section: &str) -> Result<()> {
    line("NAME")?;
    context
        .config()?
        .section(section)
        .try_for_each(|(name, _)| line(name))
}

impl GetContexts {
    fn run(self, context: &Context) -> Result<()> {
        let output = self.output.as_deref().unwrap_or_default();
        if !matches!(output, "" | "name") {
            return Err(format!("output must be one of '' or 'name': {output}").into());
        }
        let config = context.config()?;
        let mut layout = Layout::default();
        if !self.no_headers && output.is_empty() {
            layout.push(
                ["CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"]
                    .map(str::to_owned)
                    .to_vec(),
            );
        }
        let mut errors = Vec::new();
        for word in &self.words {
            if config.get("contexts", word).is_none() {
                errors.push(format!("context {word} not found").into());
            }
        }
        let current = context
            .global
            .context
            .as_ref()
            .unwrap_or(&config.current_context);
        for (name, body) in config.section("contexts") {
            if !self.words.is_empty() && !self.words.contains(name) {
                continue;
            }
            let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
            if output == "name" {
                line(name)?;
            } else {
                let mark = if name == current { "*" } else { "" };
                layout.push(vec![
                    mark.to_owned(),
                    name.clone(),
                    text("cluster"),
                    text("user"),
                    text("namespace"),
                ]);
            }
        }
        print(&layout.flush())?;
        crate::error::Error::many(errors)
    }
}
