//! ctld
fn main() {}
