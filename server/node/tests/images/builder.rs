//! Archives to import, good and bad.

use std::path::{Path, PathBuf};

use node::image::{Error, Image, Images};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};
use tempfile::TempDir;

/// Whether layers can be unpacked here: owners and devices need root.
pub(crate) fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: unpacking images needs root");
    }
    root
}

/// One entry of a layer.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) kind: EntryType,
    pub(crate) link: String,
    pub(crate) content: Vec<u8>,
    pub(crate) mode: u32,
}

pub(crate) fn entry(kind: EntryType, name: &str, link: &str, content: &[u8]) -> Entry {
    let mode = if kind == EntryType::Directory {
        0o755
    } else {
        0o644
    };
    Entry {
        name: name.to_owned(),
        kind,
        link: link.to_owned(),
        content: content.to_vec(),
        mode,
    }
}

pub(crate) fn file(name: &str, content: &[u8]) -> Entry {
    entry(EntryType::Regular, name, "", content)
}

/// Writes entries as they are, unsafe names included, which tar's own builder refuses.
pub(crate) fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000);
        header.set_size(entry.content.len() as u64);
        let raw = header.as_old_mut();
        raw.name[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
        raw.linkname[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
        header.set_cksum();
        builder
            .append(&header, entry.content.as_slice())
            .expect("appended");
    }
    builder.into_inner().expect("finished")
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// An image layout in a folder of its own.
pub(crate) struct Layout {
    pub(crate) folder: TempDir,
    pub(crate) config: Value,
    layers: Vec<Value>,
    annotations: Value,
}

impl Layout {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("temporary folder");
        std::fs::create_dir_all(folder.path().join("blobs/sha256")).expect("made");
        let architecture = if cfg!(target_arch = "x86_64") {
            "amd64"
        } else {
            "arm64"
        };
        let config = json!({
            "os": "linux", "architecture": architecture, "config": {},
            "rootfs": { "type": "layers", "diff_ids": [] },
        });
        Self {
            folder,
            config,
            layers: Vec::new(),
            annotations: json!({}),
        }
    }

    /// The file of a blob.
    pub(crate) fn blob(&self, digest: &str) -> PathBuf {
        self.folder
            .path()
            .join("blobs/sha256")
            .join(digest.trim_start_matches("sha256:"))
    }

    pub(crate) fn add_blob(&self, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        std::fs::write(self.blob(&digest), bytes).expect("written");
        digest
    }

    pub(crate) fn named(mut self, name: &str) -> Self {
        self.annotations = json!({ "org.opencontainers.image.ref.name": name });
        self
    }

    /// Adds a layer as it is stored, with what it is unpacked.
    pub(crate) fn layer(mut self, stored: &[u8], unpacked: &[u8], suffix: &str) -> Self {
        let blob = self.add_blob(stored);
        self.layers.push(json!({
            "mediaType": format!("application/vnd.oci.image.layer.v1.tar{suffix}"),
            "digest": blob, "size": stored.len(),
        }));
        let diff_ids = self.config["rootfs"]["diff_ids"]
            .as_array_mut()
            .expect("a list");
        diff_ids.push(json!(digest(unpacked)));
        self
    }

    pub(crate) fn entries(self, entries: &[Entry]) -> Self {
        let tar = tar(entries);
        self.layer(&tar, &tar, "")
    }

    /// Writes manifest and index; gives the folder.
    pub(crate) fn finish(&self) -> &Path {
        let config = self.config.to_string();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": self.add_blob(config.as_bytes()), "size": config.len(),
            },
            "layers": self.layers,
        })
        .to_string();
        let index = json!({
            "schemaVersion": 2,
            "manifests": [{
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": self.add_blob(manifest.as_bytes()), "size": manifest.len(),
                "annotations": self.annotations,
            }],
        });
        std::fs::write(self.folder.path().join("index.json"), index.to_string()).expect("written");
        std::fs::write(
            self.folder.path().join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .expect("written");
        self.folder.path()
    }
}

/// A store of its own.
pub(crate) struct Store {
    pub(crate) folder: TempDir,
    pub(crate) images: Images,
}

impl Store {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("temporary folder");
        let images = Images::open(folder.path()).expect("opens");
        Self { folder, images }
    }

    pub(crate) fn import(&self, path: &Path) -> Result<Image, Error> {
        let name = Some("test");
        self.images
            .import(path, name, &mut |_| {})
            .map(|mut images| images.remove(0))
    }

    /// Names of what is left in a folder of the store.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path().join(folder)).expect("readable");
        entries
            .map(|entry| {
                entry
                    .expect("readable")
                    .file_name()
                    .into_string()
                    .expect("text")
            })
            .collect()
    }
}
