//! Pods on a worker: containers, volumes, networks, logs, exec, probes, restarts of the worker.

mod containers;
mod logs;
mod many;
mod network;
mod programs;
mod recovery;
mod security;
mod volumes;
