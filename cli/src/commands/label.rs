//! `label`: sets and removes labels.

use clap::Args;

use super::pairs::{Change, Flags, What};
use crate::context::Context;
use crate::error::Result;

/// Update the labels on a resource.
///
/// KEY=VALUE sets a label, KEY- removes it.
#[derive(Args, Clone, Debug)]
pub(crate) struct Label {
    /// Resources, then labels: pod x a=b c-
    words: Vec<String>,
    #[command(flatten)]
    flags: Flags,
}

impl Label {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        Change::new(What::Labels, self.words, self.flags)?
            .run(context)
            .await
    }
}
