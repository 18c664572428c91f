//! Where an image comes from: a folder, or a tar file read in place.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Take};
use std::path::{Component, Path, PathBuf};

use super::{Error, Images};

/// The files of an image layout or a docker archive.
pub(super) enum Archive {
    /// A folder.
    Folder(PathBuf),
    /// A tar file: where each of its files begins, and how long it is.
    Tar {
        path: PathBuf,
        entries: BTreeMap<String, (u64, u64)>,
    },
}

/// No manifest or configuration is larger; a larger one would only be there to fill our memory.
const DOCUMENT_LIMIT: u64 = 8 << 20;

impl Archive {
    pub(super) fn open(images: &Images, path: &Path) -> Result<Self, Error> {
        let metadata = std::fs::metadata(path).map_err(Error::io(path))?;
        if metadata.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let file = File::open(path).map_err(Error::io(path))?;
        let mut magic = [0; 4];
        let plain = match (&file).read_exact(&mut magic) {
            Ok(()) => !is_compressed(magic),
            Err(_) => {
                return Err(Error::NotAnImage(format!(
                    "{} is too short",
                    path.display()
                )));
            }
        };
        if plain {
            return Self::index(path.to_owned());
        }
        // Files are read out of order, which a compressed stream can't do.
        let unpacked = images.root.join("tmp/archive.tar");
        let mut source = decompress(File::open(path).map_err(Error::io(path))?)?;
        let mut target = File::create(&unpacked).map_err(Error::io(&unpacked))?;
        std::io::copy(&mut source, &mut target).map_err(Error::io(path))?;
        Self::index(unpacked)
    }

    fn index(path: PathBuf) -> Result<Self, Error> {
        let damaged = |error: std::io::Error| Error::NotAnImage(error.to_string());
        let file = File::open(&path).map_err(Error::io(&path))?;
        let mut entries = BTreeMap::new();
        let mut links = Vec::new();
        let mut tar = tar::Archive::new(file);
        for entry in tar.entries_with_seek().map_err(damaged)? {
            let entry = entry.map_err(damaged)?;
            let name = plain(&entry.path().map_err(damaged)?);
            let kind = entry.header().entry_type();
            if kind.is_file() {
                entries.insert(name, (entry.raw_file_position(), entry.size()));
            } else if (kind.is_symlink() || kind.is_hard_link())
                && let Some(target) = entry.link_name().map_err(damaged)?
            {
                // Old docker archives link equal layers to one another.
                let target = if kind.is_symlink() {
                    Path::new(&name)
                        .parent()
                        .unwrap_or(Path::new(""))
                        .join(target)
                } else {
                    target.into_owned()
                };
                links.push((name, plain(&target)));
            }
        }
        for (name, target) in links {
            if let Some(&place) = entries.get(&target) {
                entries.insert(name, place);
            }
        }
        Ok(Self::Tar { path, entries })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Folder(folder) => folder.join(name).is_file(),
            Self::Tar { entries, .. } => entries.contains_key(name),
        }
    }

    /// Opens a file; gives it with its size. Names come from manifests: one that leaves the archive is not there.
    pub(super) fn read(&self, name: &str) -> Result<(Take<File>, u64), Error> {
        let missing = || Error::MissingBlob(name.to_owned());
        match self {
            Self::Folder(folder) => {
                let relative = Path::new(name);
                if !relative
                    .components()
                    .all(|part| matches!(part, Component::Normal(_)))
                {
                    return Err(missing());
                }
                let path = folder.join(relative);
                let file = File::open(&path).map_err(|_| missing())?;
                let size = file.metadata().map_err(Error::io(&path))?.len();
                Ok((file.take(size), size))
            }
            Self::Tar { path, entries } => {
                let &(position, size) = entries.get(&plain(Path::new(name))).ok_or_else(missing)?;
                let mut file = File::open(path).map_err(Error::io(path))?;
                file.seek(SeekFrom::Start(position))
                    .map_err(Error::io(path))?;
                Ok((file.take(size), size))
            }
        }
    }

    /// Reads a small file as a whole.
    pub(super) fn document(&self, name: &str) -> Result<Vec<u8>, Error> {
        let (mut file, size) = self.read(name)?;
        if size > DOCUMENT_LIMIT {
            return Err(Error::NotAnImage(format!("{name} has {size} bytes")));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|error| Error::NotAnImage(format!("{name}: {error}")))?;
        Ok(bytes)
    }
}

/// A path without `.`, with `..` taken back as far as there is something to take back.
fn plain(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::ParentDir => {
                parts.pop();
            }
            _ => {}
        }
    }
    parts.join("/")
}

fn is_compressed(magic: [u8; 4]) -> bool {
    magic[..2] == [0x1f, 0x8b] || magic == [0x28, 0xb5, 0x2f, 0xfd]
}

/// Undoes gzip or zstd, whichever the first bytes show; anything else passes as it is.
pub(super) fn decompress<R: Read + Seek + 'static>(mut source: R) -> Result<Box<dyn Read>, Error> {
    let damaged = |error: std::io::Error| Error::NotAnImage(error.to_string());
    let mut magic = [0; 4];
    let mut filled = 0;
    while filled < magic.len() {
        match source.read(&mut magic[filled..]).map_err(damaged)? {
            0 => break,
            count => filled += count,
        }
    }
    source.rewind().map_err(damaged)?;
    Ok(match magic {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(
            std::io::BufReader::with_capacity(1 << 16, source),
        )),
        [0x28, 0xb5, 0x2f, 0xfd] => {
            Box::new(zstd::stream::read::Decoder::new(source).map_err(damaged)?)
        }
        _ => Box::new(source),
    })
}
