//! `auth`: what one may do, who one is, and roles and bindings that files ask for.

mod can_i;
mod reconcile;
mod rules;
mod whoami;

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::error::Result;

/// Inspect authorization.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub(crate) struct Auth {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check whether an action is allowed
    CanI(can_i::CanI),
    /// Reconciles rules for RBAC role, role binding, cluster role, and cluster role binding objects
    Reconcile(reconcile::Reconcile),
    /// Experimental: Check self subject attributes
    Whoami(whoami::Whoami),
}

impl Auth {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        match self.command {
            Command::CanI(command) => command.run(context).await,
            Command::Reconcile(command) => command.run(context).await,
            Command::Whoami(command) => command.run(context).await,
        }
    }
}
