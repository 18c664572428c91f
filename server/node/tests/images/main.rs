//! The image store: what it takes, what it refuses, what it keeps.

mod bad;
mod builder;
mod good;
