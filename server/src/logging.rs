//! Logs go to standard error: text for people, JSON for programs.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

use crate::args::{LogFormat, Logging};

/// Why logging can't start.
#[derive(Debug, thiserror::Error)]
#[error("invalid --log-level {filter:?}: {source}")]
pub(crate) struct Error {
    filter: String,
    source: tracing_subscriber::filter::ParseError,
}

/// Starts logging for the whole process.
pub(crate) fn start(flags: &Logging) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&flags.log_level).map_err(|source| Error {
        filter: flags.log_level.clone(),
        source,
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal());
    match flags.logging_format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
