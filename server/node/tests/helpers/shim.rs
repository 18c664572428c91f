//! What `ctld shim` is, alone: tests of this crate have no `ctld`.

fn main() -> std::process::ExitCode {
    node::shim::main(std::env::args().skip(2))
}
