//! Images: a content-addressed store on this machine.
//!
//! ```text
//! <data_dir>/images/
//!   index.json            names → image ids; written as a whole, by rename, under `lock`
//!   lock                  held exclusively by whoever changes something, across processes
//!   blobs/sha256/<hex>    manifests, configurations and layers as they came, verified
//!   layers/<hex>/         one unpacked layer by its diff id, in the form overlayfs wants; shared by all images
//!   tmp/                  what is not finished; emptied at the next change
//! ```
//!
//! A file appears under its final name only when it is complete, so a crash at any moment leaves either
//! the old state or the new one. Nothing of an image is trusted: digests are verified before use and
//! layers are unpacked with every path resolved below the layer's own folder.

mod error;
mod reference;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use error::Error;
pub use reference::normalize;

/// The store. Cheap to clone; several processes may use the same folder.
#[derive(Clone, Debug)]
pub struct Images {
    pub(crate) root: PathBuf,
}

/// An image that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// `sha256:` and the digest of its configuration.
    pub id: String,
    /// Its names, normalised (`docker.io/library/demo:latest`), sorted.
    pub names: Vec<String>,
    /// `sha256:` and the digest of its manifest.
    pub digest: String,
    /// Bytes of its blobs.
    pub size: u64,
    /// How its containers run.
    pub config: Config,
    /// Its layers' diff ids, the lowest first.
    pub layers: Vec<String>,
}

/// The part of an image's configuration that a container needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// `Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `Cmd`.
    pub command: Vec<String>,
    /// `Env`, as `NAME=value`.
    pub env: Vec<String>,
    /// `User`: `uid`, `name`, `uid:gid`, `name:group`; empty means root.
    pub user: String,
    /// `WorkingDir`.
    pub working_dir: String,
    /// `StopSignal`, by name or number.
    pub stop_signal: Option<String>,
    /// Paths of `Volumes`.
    pub volumes: Vec<String>,
}

/// How far an import is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, e.g. `layer 2/3 sha256:0123456789ab`.
    pub what: String,
    /// Bytes done.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}
