//! `ctl`: kubectl, command for command, against any Kubernetes cluster.
//!
//! | module | what it does |
//! |---|---|
//! | [`args`] | the command line, with pflag's rules and words |
//! | [`commands`] | one file a command; the doc comment is its help |
//! | [`duration`] | durations as Go writes them |
//! | [`context`] | configuration, connection and discovery of a run |
//! | [`target`] | what a command acts on: words, selectors, files |
//! | [`client`] | kubeconfig, credentials, TLS, discovery, requests, WebSockets |
//! | [`printer`] | tables, YAML, JSON, names, JSONPath, Go templates |
//! | [`error`] | the user's text and the exit code of what goes wrong |

mod args;
mod client;
mod commands;
mod context;
mod duration;
mod error;
mod printer;
mod target;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    let mut line = match args::parse(arguments) {
        Ok(line) => line,
        Err(args::Stop::Text(text)) => {
            return finish(context::print(&text));
        }
        Err(args::Stop::Complaint(text)) => {
            context::note(&text);
            return ExitCode::from(1);
        }
    };
    line.command.adopt(&mut line.global);
    let context = context::Context::new(line.global);
    // One thread is enough for what one user asks, and starts faster than several.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(line.command.run(&context));
            // A read of stdin can't be interrupted: leave it behind.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(error.into()),
    };
    finish(result.and_then(|()| warnings_as_errors(&context)))
}

fn warnings_as_errors(context: &context::Context) -> error::Result<()> {
    if !context.global.warnings_as_errors {
        return Ok(());
    }
    match context.client()?.warnings() {
        0 => Ok(()),
        1 => Err("1 warning received".into()),
        count => Err(format!("{count} warnings received").into()),
    }
}

fn finish(result: error::Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    let text = error.text();
    if !text.is_empty() {
        context::note(&text);
    }
    ExitCode::from(error.code())
}
