//! `annotate`: sets and removes annotations.

use clap::Args;

use super::pairs::{Change, Flags, What};
use crate::context::Context;
use crate::error::Result;

/// Update the annotations on a resource.
///
/// KEY=VALUE sets an annotation, KEY- removes it.
#[derive(Args, Clone, Debug)]
pub(crate) struct Annotate {
    /// Resources, then annotations: pod x a=b c-
    words: Vec<String>,
    #[command(flatten)]
    flags: Flags,
}

impl Annotate {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        Change::new(What::Annotations, self.words, self.flags)?
            .run(context)
            .await
    }
}
