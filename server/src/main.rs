//! `ctld`, a Kubernetes cluster in one program: flags, start, stop and signals. The parts are crates.

mod args;
mod claim;
mod config;
mod images;
mod logging;
mod server;
mod signals;
mod stop;
mod worker;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    let words: Vec<OsString> = env::args_os().collect();
    // A shim is one thread for ever: it must be reached before anything starts another.
    if words.get(1).is_some_and(|word| word == "shim") {
        let arguments = words.into_iter().skip(2);
        return node::shim::main(arguments.map(|word| word.to_string_lossy().into_owned()));
    }
    let words = match config::expand(words) {
        Ok(words) => words,
        Err(error) => return fail(&error.to_string()),
    };
    let outcome = match Args::parse_from(words).command {
        Command::Server(flags) => server::run(*flags).map_err(|e| e.to_string()),
        Command::Worker(flags) => worker::run(*flags).map_err(|e| e.to_string()),
        Command::Images(command) => images::run(command).map_err(|e| e.to_string()),
        Command::Stop(flags) => stop::run(&flags).map_err(|e| e.to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => fail(&problem),
    }
}

fn fail(problem: &str) -> ExitCode {
    eprintln!("error: {problem}");
    ExitCode::FAILURE
}
