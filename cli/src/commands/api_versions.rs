//! `api-versions`: the groups and versions of the server.

use clap::Args;

use crate::context::{Context, line};
use crate::error::Result;

/// Print the supported API versions on the server, in the form of "group/version".
#[derive(Args, Debug)]
pub(crate) struct ApiVersions {
    /// Nothing
    words: Vec<String>,
}

impl ApiVersions {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        if !self.words.is_empty() {
            return Err(format!(
                "unexpected arguments: [{}]\nSee 'ctl api-versions -h' for help and examples",
                self.words.join(" ")
            )
            .into());
        }
        let discovery = context.fresh_discovery().await?;
        let mut all: Vec<String> = discovery
            .groups
            .iter()
            .flat_map(|(group, versions)| {
                versions.iter().map(move |v| {
                    if group.is_empty() {
                        v.clone()
                    } else {
                        format!("{group}/{v}")
                    }
                })
            })
            .collect();
        all.sort();
        all.iter().try_for_each(|version| line(version))
    }
}
