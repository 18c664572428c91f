//! What `ctld shim` and `ctld stop` are, alone: tests of this crate have no `ctld`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("shim"), Some(flag)) => node::shim::main(std::iter::once(flag).chain(arguments)),
        // To clean up by hand what a test that was killed left.
        (Some("stop"), Some(run_dir)) => match node::runtime::teardown(run_dir.as_ref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
        _ => ExitCode::FAILURE,
    }
}
