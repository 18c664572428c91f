//! The commands, a file each; a group is a folder. The order is that of kubectl's help, which its
//! suggestions for misspelt commands follow.

mod annotate;
mod api_resources;
mod api_versions;
mod apply;
mod auth;
mod cluster_info;
mod completion;
mod config;
mod create;
mod delete;
mod describe;
mod exec;
mod get;
mod label;
mod logs;
mod options;
mod pairs;
mod rollout;
mod scale;
mod version;
mod wait;

use clap::Subcommand;

use crate::context::Context;
use crate::error::Result;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Create(Box<create::Create>),
    Get(get::Get),
    Delete(delete::Delete),
    Rollout(rollout::Rollout),
    Scale(scale::Scale),
    ClusterInfo(cluster_info::ClusterInfo),
    Describe(describe::Describe),
    Logs(logs::Logs),
    Exec(exec::Exec),
    Auth(auth::Auth),
    Apply(apply::Apply),
    Wait(wait::Wait),
    Label(label::Label),
    Annotate(annotate::Annotate),
    Completion(completion::Completion),
    ApiResources(api_resources::ApiResources),
    ApiVersions(api_versions::ApiVersions),
    Config(config::Config),
    Version(version::Version),
    Options(options::Options),
    #[command(name = "__complete", alias = "__completeNoDesc", hide = true)]
    Complete(completion::Complete),
}

impl Command {
    /// Lets a command take flags that mean something else to it than to the others.
    pub(crate) fn adopt(&mut self, global: &mut crate::args::Global) {
        if let Self::Create(create) = self {
            create.adopt(global);
        }
    }

    /// Does it.
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        match self {
            Self::Create(command) => command.run(context).await,
            Self::Describe(command) => command.run(context).await,
            Self::Completion(command) => command.run(context),
            Self::Get(command) => command.run(context).await,
            Self::Delete(command) => command.run(context).await,
            Self::Rollout(command) => command.run(context).await,
            Self::Scale(command) => command.run(context).await,
            Self::ClusterInfo(command) => command.run(context).await,
            Self::Logs(command) => command.run(context).await,
            Self::Exec(command) => command.run(context).await,
            Self::Auth(command) => command.run(context).await,
            Self::Apply(command) => command.run(context).await,
            Self::Wait(command) => command.run(context).await,
            Self::Label(command) => command.run(context).await,
            Self::Annotate(command) => command.run(context).await,
            Self::ApiResources(command) => command.run(context).await,
            Self::ApiVersions(command) => command.run(context).await,
            Self::Config(command) => command.run(context),
            Self::Version(command) => command.run(context).await,
            Self::Complete(command) => command.run(context).await,
            Self::Options(command) => command.run(context),
        }
    }
}
