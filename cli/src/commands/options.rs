//! `options`: the flags of every command.

use clap::Args;

use crate::context::{Context, print};
use crate::error::Result;

/// Print the list of flags inherited by all commands.
#[derive(Args, Debug)]
pub(crate) struct Options {}

impl Options {
    pub(crate) fn run(self, _context: &Context) -> Result<()> {
        let mut out = "The following options can be passed to any command:\n".to_owned();
        let command = crate::args::command();
        let mut flags: Vec<&clap::Arg> = command
            .get_arguments()
            .filter(|a| a.is_global_set())
            .collect();
        flags.sort_by_key(|a| a.get_long());
        for flag in flags {
            let long = flag.get_long().unwrap_or_default();
            let short = flag
                .get_short()
                .map(|s| format!("-{s}, "))
                .unwrap_or_default();
            let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
            out.push_str(&format!("\n    {short}--{long}:\n\t{help}\n"));
        }
        print(&out)
    }
}
