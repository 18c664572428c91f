//! The commands, a file each; a group is a folder. The order is that of kubectl's help, which its
//! suggestions for misspelt commands follow.

mod apply;
mod config;
mod delete;
mod get;
mod version;

use clap::Subcommand;

use crate::context::Context;
use crate::error::Result;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Get(get::Get),
    Delete(delete::Delete),
    Apply(apply::Apply),
    Config(config::Config),
    Version(version::Version),
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        match self {
            Self::Get(command) => command.run(context).await,
            Self::Delete(command) => command.run(context).await,
            Self::Apply(command) => command.run(context).await,
            Self::Config(command) => command.run(context),
            Self::Version(command) => command.run(context).await,
        }
    }
}
