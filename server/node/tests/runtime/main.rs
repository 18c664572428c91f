//! Real pods on this machine: needs root and control groups; says so and passes where they are missing.

mod containers;
mod exec;
mod harness;
mod network;
mod restart;
mod security;
mod streams;
mod volumes;
