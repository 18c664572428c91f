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

mod archive;
mod blob;
mod error;
mod import;
mod index;
mod layer;
mod reference;

use std::fs::File;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

pub use error::Error;
pub use reference::normalize;

/// The store. Cheap to clone; several processes may use the same folder.
#[derive(Clone, Debug)]
pub struct Images {
    root: PathBuf,
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
    /// The digests of its layers' blobs.
    #[serde(default)]
    pub blobs: Vec<String>,
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
impl Images {
    /// Opens the store in `dir` (`<data_dir>/images`), making it if need be.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = dir.into();
        for folder in ["blobs/sha256", "layers", "tmp"] {
            let folder = root.join(folder);
            std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        }
        Ok(Self { root })
    }

    /// Imports an OCI image layout (folder or tar) or the output of `docker save`; blocks.
    ///
    /// The images get the names that the archive gives them, or `name` alone, which an archive of several images refuses.
    pub fn import(
        &self,
        path: &Path,
        name: Option<&str>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Image>, Error> {
        let name = name.map(normalize).transpose()?;
        import::import(self, path, name, progress)
    }

    /// All images, by first name. Cheap: one small file is read.
    pub fn list(&self) -> Result<Vec<Image>, Error> {
        index::read(&self.root)
    }

    /// The image with this name, id, or unambiguous start of an id.
    pub fn get(&self, reference: &str) -> Result<Option<Image>, Error> {
        Ok(index::find(&self.list()?, reference).cloned())
    }

    /// Removes a name; with the last name, or when given an id, the image and every blob and layer that nothing else uses.
    ///
    /// Layers are removed at once: whether a container runs on them is for the caller to know.
    pub fn remove(&self, reference: &str) -> Result<Image, Error> {
        let _lock = self.lock()?;
        let mut images = self.list()?;
        let found = index::find(&images, reference)
            .cloned()
            .ok_or_else(|| Error::NotFound(reference.to_owned()))?;
        let name = normalize(reference).ok();
        let by_name = name.filter(|name| found.names.contains(name));
        match by_name {
            Some(name) if found.names.len() > 1 => {
                for image in &mut images {
                    image.names.retain(|other| *other != name);
                }
                index::write(&self.root, &images)?;
            }
            _ => {
                images.retain(|image| image.id != found.id);
                index::write(&self.root, &images)?;
                self.sweep(&images)?;
            }
        }
        Ok(found)
    }

    /// The folders of an image's layers in overlayfs' order: the highest first.
    pub fn lower_dirs(&self, image: &Image) -> Vec<PathBuf> {
        let folder = |digest: &String| self.layer_dir(digest);
        image.layers.iter().rev().map(folder).collect()
    }

    fn layer_dir(&self, diff_id: &str) -> PathBuf {
        self.root
            .join("layers")
            .join(diff_id.trim_start_matches("sha256:"))
    }

    fn blob_path(&self, digest: &str) -> PathBuf {
        self.root
            .join("blobs/sha256")
            .join(digest.trim_start_matches("sha256:"))
    }

    /// Waits until no one else changes the store, and empties what a crash left in `tmp`.
    fn lock(&self) -> Result<Flock<File>, Error> {
        let path = self.root.join("lock");
        let file = File::create(&path).map_err(Error::io(&path))?;
        let lock = Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, errno)| Error::io(&path)(errno.into()))?;
        let tmp = self.root.join("tmp");
        for entry in std::fs::read_dir(&tmp).map_err(Error::io(&tmp))? {
            let path = entry.map_err(Error::io(&tmp))?.path();
            remove_any(&path).map_err(Error::io(&path))?;
        }
        Ok(lock)
    }

    /// Removes the blobs and layers that no image uses.
    fn sweep(&self, images: &[Image]) -> Result<(), Error> {
        let blob_used = |digest: &str| {
            let uses = |image: &Image| {
                image.id == digest
                    || image.digest == digest
                    || image.blobs.iter().any(|blob| blob == digest)
            };
            images.iter().any(uses)
        };
        let layer_used = |digest: &str| {
            let uses = |image: &Image| image.layers.iter().any(|layer| layer == digest);
            images.iter().any(uses)
        };
        self.sweep_folder("blobs/sha256", blob_used)?;
        self.sweep_folder("layers", layer_used)
    }

    fn sweep_folder(&self, folder: &str, keep: impl Fn(&str) -> bool) -> Result<(), Error> {
        let folder = self.root.join(folder);
        for entry in std::fs::read_dir(&folder).map_err(Error::io(&folder))? {
            let entry = entry.map_err(Error::io(&folder))?;
            let digest = format!("sha256:{}", entry.file_name().to_string_lossy());
            if !keep(&digest) {
                remove_any(&entry.path()).map_err(Error::io(entry.path()))?;
            }
        }
        Ok(())
    }
}

/// Removes a file or a whole folder.
fn remove_any(path: &Path) -> std::io::Result<()> {
    if std::fs::symlink_metadata(path)?.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    }
}
