//! An OCI image layout from a list of files (image-spec v1.1, `image-layout.md`).
//!
//! ```text
//! DIR/oci-layout          {"imageLayoutVersion":"1.0.0"}
//! DIR/index.json          one manifest, named by org.opencontainers.image.ref.name
//! DIR/blobs/sha256/...    layer (tar), config, manifest
//! ```

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// One entry of the image's only layer.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A file with a mode, its content copied from a file of the host.
    File(String, u32, PathBuf),
    /// A file with a mode and this content.
    Text(String, u32, String),
    /// A symbolic link and where it points.
    Link(String, String),
    /// A directory with a mode.
    Directory(String, u32),
}

/// An image to be packed.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// The name it is imported under, such as `demo-web:1.0`.
    pub name: String,
    /// What is in it. Paths are relative to the root; parents come before their children.
    pub entries: Vec<Entry>,
    /// `ENTRYPOINT`.
    pub entrypoint: Vec<String>,
    /// `CMD`.
    pub command: Vec<String>,
    /// `ENV`, each `NAME=value`.
    pub env: Vec<String>,
    /// `USER`, empty for root.
    pub user: String,
    /// `WORKDIR`, empty for `/`.
    pub working_dir: String,
}

impl Image {
    /// Writes the layout into `directory`, which is made when it is not there.
    pub fn pack(&self, directory: &Path) -> io::Result<()> {
        let blobs = directory.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        let layer = self.layer()?;
        let layer_digest = hex(&layer);
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "config": {
                "Cmd": self.command,
                "Entrypoint": self.entrypoint,
                "Env": self.env,
                "User": self.user,
                "WorkingDir": self.working_dir,
            },
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer_digest}")]},
            "history": [{"created_by": "demo-pack"}],
        });
        let layer = blob(&blobs, "application/vnd.oci.image.layer.v1.tar", &layer)?;
        let config = json_blob(&blobs, "application/vnd.oci.image.config.v1+json", &config)?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": [layer],
        });
        let mut manifest = json_blob(
            &blobs,
            "application/vnd.oci.image.manifest.v1+json",
            &manifest,
        )?;
        manifest["annotations"] = json!({"org.opencontainers.image.ref.name": self.name});
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        fs::write(directory.join("index.json"), index.to_string())?;
        fs::write(
            directory.join("oci-layout"),
            json!({"imageLayoutVersion": "1.0.0"}).to_string(),
        )
    }

    fn layer(&self) -> io::Result<Vec<u8>> {
        let mut tar = tar::Builder::new(Vec::new());
        for entry in &self.entries {
            match entry {
                Entry::File(path, mode, source) => {
                    let content = fs::read(source)?;
                    append(&mut tar, path, tar::EntryType::Regular, *mode, &content)?;
                }
                Entry::Text(path, mode, text) => {
                    append(
                        &mut tar,
                        path,
                        tar::EntryType::Regular,
                        *mode,
                        text.as_bytes(),
                    )?;
                }
                Entry::Directory(path, mode) => {
                    append(&mut tar, path, tar::EntryType::Directory, *mode, &[])?;
                }
                Entry::Link(path, target) => {
                    let mut header = header(tar::EntryType::Symlink, 0o777, 0);
                    tar.append_link(&mut header, path, target)?;
                }
            }
        }
        tar.into_inner()
    }
}

fn append(
    tar: &mut tar::Builder<Vec<u8>>,
    path: &str,
    kind: tar::EntryType,
    mode: u32,
    content: &[u8],
) -> io::Result<()> {
    let mut header = header(kind, mode, content.len() as u64);
    tar.append_data(&mut header, path, content)
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn json_blob(blobs: &Path, media_type: &str, content: &Value) -> io::Result<Value> {
    blob(blobs, media_type, content.to_string().as_bytes())
}

fn blob(blobs: &Path, media_type: &str, content: &[u8]) -> io::Result<Value> {
    let digest = hex(content);
    fs::File::create(blobs.join(&digest))?.write_all(content)?;
    Ok(json!({
        "mediaType": media_type,
        "digest": format!("sha256:{digest}"),
        "size": content.len(),
    }))
}

fn hex(content: &[u8]) -> String {
    format!("{:x}", Sha256::digest(content))
}

/// The machine's architecture in Go's words, which image configs use.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
