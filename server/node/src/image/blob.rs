//! Blobs: bytes under their digest.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{Error, Images};

/// Computes the digest of what passes through.
pub(super) struct Hashing<R> {
    inner: R,
    hash: Sha256,
    /// Bytes so far.
    pub(super) length: u64,
}

impl<R: Read> Hashing<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            length: 0,
        }
    }

    /// `sha256:...` of everything that was read.
    pub(super) fn digest(self) -> String {
        spell(&self.hash.finalize())
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.length += count as u64;
        Ok(count)
    }
}

/// The digest of bytes at hand.
pub(super) fn digest(bytes: &[u8]) -> String {
    spell(&Sha256::digest(bytes))
}

fn spell(hash: &[u8]) -> String {
    use std::fmt::Write;
    hash.iter().fold("sha256:".to_owned(), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Copies a blob into the store; gives its digest and its size. With `expected`, another content is refused.
pub(super) fn store(
    images: &Images,
    source: impl Read,
    expected: Option<&str>,
    mut passed: impl FnMut(u64),
) -> Result<(String, u64), Error> {
    let temporary = images.root.join("tmp/blob");
    let mut source = Hashing::new(source);
    let mut copy = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            let count = source.read(&mut buffer)?;
            if count == 0 {
                return file.sync_all();
            }
            file.write_all(&buffer[..count])?;
            passed(source.length);
        }
    };
    copy().map_err(Error::io(&temporary))?;
    let size = source.length;
    let actual = source.digest();
    if let Some(expected) = expected
        && expected != actual
    {
        std::fs::remove_file(&temporary).map_err(Error::io(&temporary))?;
        return Err(Error::Digest {
            expected: expected.to_owned(),
            actual,
        });
    }
    let path = images.blob_path(&actual);
    std::fs::rename(&temporary, &path).map_err(Error::io(&path))?;
    Ok((actual, size))
}

/// Flushes the file system that holds `path`, once, rather than every file of a layer.
pub(super) fn sync_file_system(path: &Path) -> Result<(), Error> {
    let folder = File::open(path).map_err(Error::io(path))?;
    nix::unistd::syncfs(&folder).map_err(|errno| Error::io(path)(errno.into()))
}
