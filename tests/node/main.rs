//! Pods on a worker: containers, volumes, networks, logs.
