//! The list of images: one small file, replaced as a whole.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::reference::normalize;
use super::{Error, Image};

/// The form of the file; another one is refused rather than guessed at.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Index {
    version: u32,
    images: Vec<Image>,
}

/// Reads all images, sorted by first name; none if there is no file yet.
pub(super) fn read(root: &Path) -> Result<Vec<Image>, Error> {
    let path = root.join("index.json");
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(&path)(error)),
    };
    let index: Index =
        serde_json::from_slice(&bytes).map_err(|error| Error::io(&path)(error.into()))?;
    if index.version != VERSION {
        let reason = format!("version {} of the image index is unknown", index.version);
        return Err(Error::io(&path)(std::io::Error::other(reason)));
    }
    Ok(index.images)
}

/// Replaces the list.
pub(super) fn write(root: &Path, images: &[Image]) -> Result<(), Error> {
    let mut images = images.to_vec();
    for image in &mut images {
        image.names.sort();
        image.names.dedup();
    }
    images.sort_by(|a, b| (&a.names, &a.id).cmp(&(&b.names, &b.id)));
    let index = Index {
        version: VERSION,
        images,
    };
    let path = root.join("index.json");
    let new = root.join("tmp/index.json");
    let replace = || {
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec_pretty(&index)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        File::open(root)?.sync_all()
    };
    replace().map_err(Error::io(&path))
}

/// Finds by name, id, or unambiguous start of an id (at least 4 digits).
pub(super) fn find<'a>(images: &'a [Image], reference: &str) -> Option<&'a Image> {
    if let Ok(name) = normalize(reference)
        && let Some(image) = images.iter().find(|image| image.names.contains(&name))
    {
        return Some(image);
    }
    // `repository@sha256:...` names the manifest, whatever the repository.
    if let Some((_, digest)) = reference.split_once('@') {
        return images.iter().find(|image| image.digest == digest);
    }
    let hex = reference.strip_prefix("sha256:").unwrap_or(reference);
    if hex.len() < 4 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut matches = images
        .iter()
        .filter(|image| image.id["sha256:".len()..].starts_with(hex));
    match (matches.next(), matches.next()) {
        (Some(image), None) => Some(image),
        _ => None,
    }
}
