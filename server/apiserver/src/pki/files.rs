//! Reading and writing the files of the directory: whole or not at all, and keys for the owner only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use rcgen::KeyPair;

use super::Error;

/// For `map_err`: names the file.
fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}

/// Makes a directory that only the owner can enter.
pub(super) fn make_directory(dir: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(at(dir))
}

/// A file's text, `None` when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

/// The private key in a file's text.
pub(super) fn key(path: &Path, pem: &str) -> Result<KeyPair, Error> {
    KeyPair::from_pem(pem).map_err(|error| Error::Damaged {
        path: path.to_owned(),
        problem: error.to_string(),
    })
}

/// Writes a file that only the owner can read.
pub(super) fn write_secret(path: &Path, text: &str) -> Result<(), Error> {
    write(path, text, 0o600).map_err(at(path))
}

/// Writes a file that everybody can read.
pub(super) fn write_public(path: &Path, text: &str) -> Result<(), Error> {
    write(path, text, 0o644).map_err(at(path))
}

/// Writes beside the file and renames, so that a crash leaves the old file or the new one.
fn write(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}
