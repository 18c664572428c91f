//! Measures the programs beside the real control plane.

fn main() {}
