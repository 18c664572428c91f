//! Writes a set of files so that a reader sees either all of the old ones or all of the new ones.
//!
//! ```text
//! DIR/..2026_01_02_03_04_05.000000001/file   the files themselves
//! DIR/..data -> ..2026_01_02_03_04_05.000000001
//! DIR/file -> ..data/file                    one link for each first path component
//! ```
//! An update writes a new folder and renames a new `..data` over the old one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown, symlink};
use std::path::{Component, Path, PathBuf};

use super::VolumeError;

/// One file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) data: Vec<u8>,
    /// Permission bits.
    pub(crate) mode: u32,
    /// Who owns it, if not the node.
    pub(crate) owner: Option<u32>,
}

/// Files by their path below the volume.
pub(crate) type Payload = BTreeMap<String, File>;

const DATA: &str = "..data";
const NEW_DATA: &str = "..data_tmp";

/// Makes the files below `dir` those of `payload`, atomically. `prepare` may change the owner of the new
/// folder before anybody sees it. Gives whether anything changed.
pub(crate) fn write(
    dir: &Path,
    payload: &Payload,
    prepare: impl Fn(&Path) -> io::Result<()>,
) -> Result<bool, VolumeError> {
    for path in payload.keys() {
        check(path)?;
    }
    let fail = VolumeError::io("write", dir);
    let old = fs::read_link(dir.join(DATA)).ok();
    if let Some(old) = &old
        && same(&dir.join(old), payload)
    {
        return Ok(false);
    }
    replace(dir, payload, old.as_deref(), prepare).map_err(fail)?;
    Ok(true)
}

/// A path must stay below the volume and must not begin like our own names.
fn check(path: &str) -> Result<(), VolumeError> {
    let inside = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if path.is_empty() || !inside || path.starts_with("..") {
        return Err(VolumeError::Path(path.to_owned()));
    }
    Ok(())
}

/// Whether a folder holds exactly these files.
fn same(dir: &Path, payload: &Payload) -> bool {
    let mut found = BTreeSet::new();
    if files_below(dir, Path::new(""), &mut found).is_err() || found.len() != payload.len() {
        return false;
    }
    payload.iter().all(|(path, file)| {
        let full = dir.join(path);
        let as_wanted = |found: fs::Metadata| {
            let mode = found.permissions().mode() & 0o777;
            let owner = file.owner.is_none_or(|owner| found.uid() == owner);
            owner && mode & file.mode == file.mode & 0o777
        };
        fs::metadata(&full).is_ok_and(as_wanted)
            && fs::read(&full).is_ok_and(|data| data == file.data)
    })
}

fn files_below(root: &Path, below: &Path, found: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            files_below(root, &path, found)?;
        } else {
            found.insert(path);
        }
    }
    Ok(())
}

fn replace(
    dir: &Path,
    payload: &Payload,
    old: Option<&Path>,
    prepare: impl Fn(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let stamp = jiff::Timestamp::now().strftime("..%Y_%m_%d_%H_%M_%S.%9f");
    let folder = stamp.to_string();
    let new = dir.join(&folder);
    fs::create_dir(&new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
    for (path, file) in payload {
        write_file(&new.join(path), file)?;
    }
    prepare(&new)?;
    let link = dir.join(NEW_DATA);
    remove_if_there(&link)?;
    symlink(&folder, &link)?;
    fs::rename(&link, dir.join(DATA))?;
    link_names(dir, payload)?;
    if let Some(old) = old {
        fs::remove_dir_all(dir.join(old))?;
    }
    Ok(())
}

fn write_file(path: &Path, file: &File) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut options = fs::OpenOptions::new();
    let mut handle = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    handle.write_all(&file.data)?;
    // Not subject to the umask, unlike the mode of `open`.
    handle.set_permissions(fs::Permissions::from_mode(file.mode & 0o777))?;
    match file.owner {
        Some(owner) => fchown(&handle, Some(owner), None),
        None => Ok(()),
    }
}

/// Links for the names that there are, none for those that there were.
fn link_names(dir: &Path, payload: &Payload) -> io::Result<()> {
    let first = |path: &String| path.split('/').next().unwrap_or_default().to_owned();
    let wanted: BTreeSet<String> = payload.keys().map(first).collect();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !wanted.contains(&name) {
            remove_if_there(&dir.join(name))?;
        }
    }
    for name in wanted {
        let link = dir.join(&name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(DATA).join(&name), link)?;
        }
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(files: &[(&str, &str)]) -> Payload {
        let file = |data: &str| File {
            data: data.as_bytes().to_vec(),
            mode: 0o640,
            owner: None,
        };
        files
            .iter()
            .map(|(p, d)| ((*p).to_owned(), file(d)))
            .collect()
    }

    fn put(dir: &Path, files: &[(&str, &str)]) -> bool {
        write(dir, &payload(files), |_| Ok(())).expect("written")
    }

    #[test]
    fn files_appear_as_links_into_one_folder_that_an_update_replaces() {
        let dir = tempfile::tempdir().expect("temp dir");
        let dir = dir.path();
        assert!(put(dir, &[("a", "1"), ("sub/b", "2")]));
        let first = fs::read_link(dir.join("..data")).expect("a link");
        assert_eq!(fs::read_to_string(dir.join("a")).expect("a"), "1");
        assert_eq!(fs::read_to_string(dir.join("sub/b")).expect("b"), "2");
        let mode = fs::metadata(dir.join("a")).expect("a").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);

        assert!(put(dir, &[("a", "3"), ("c", "4")]));
        assert_eq!(fs::read_to_string(dir.join("a")).expect("a"), "3");
        assert_eq!(fs::read_to_string(dir.join("c")).expect("c"), "4");
        assert!(!dir.join("sub").exists());
        assert!(!dir.join(first).exists());
    }

    #[test]
    fn the_same_files_again_change_nothing() {
        let dir = tempfile::tempdir().expect("temp dir");
        assert!(put(dir.path(), &[("a", "1")]));
        let before = fs::read_link(dir.path().join("..data")).expect("a link");
        assert!(!put(dir.path(), &[("a", "1")]));
        assert_eq!(
            fs::read_link(dir.path().join("..data")).expect("a link"),
            before
        );
    }

    #[test]
    fn a_path_out_of_the_volume_is_refused() {
        let dir = tempfile::tempdir().expect("temp dir");
        for path in ["../x", "/x", "a/../../x", "..data", ""] {
            let result = write(dir.path(), &payload(&[(path, "1")]), |_| Ok(()));
            assert!(matches!(result, Err(VolumeError::Path(_))), "{path}");
        }
    }
}
