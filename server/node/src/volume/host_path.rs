//! `hostPath`: a path of the node, checked against its type.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::HostPathVolumeSource;

use super::VolumeError;

pub(super) fn set_up(source: &HostPathVolumeSource) -> Result<PathBuf, VolumeError> {
    let path = PathBuf::from(&source.path);
    match source.type_.as_deref().unwrap_or_default() {
        "" => {}
        "DirectoryOrCreate" => {
            if !path.exists() {
                let mut builder = fs::DirBuilder::new();
                let made = builder.recursive(true).mode(0o755).create(&path);
                made.map_err(VolumeError::io("create", &path))?;
            }
            expect(&path, "directory")?;
        }
        "Directory" => expect(&path, "directory")?,
        "FileOrCreate" => {
            if !path.exists() {
                let mut options = fs::OpenOptions::new();
                let made = options.write(true).create_new(true).mode(0o644).open(&path);
                made.map_err(VolumeError::io("create", &path))?;
            }
            expect(&path, "file")?;
        }
        "File" => expect(&path, "file")?,
        "Socket" => expect(&path, "socket file")?,
        "CharDevice" => expect(&path, "character device")?,
        "BlockDevice" => expect(&path, "block device")?,
        other => {
            return Err(VolumeError::HostPath(format!(
                "{other} is an invalid volume type"
            )));
        }
    }
    Ok(path)
}

fn expect(path: &Path, wanted: &str) -> Result<(), VolumeError> {
    let shown = path.display();
    match kind(path) {
        Ok((words, _)) if words == wanted => Ok(()),
        Ok((_, name)) => Err(VolumeError::HostPath(format!(
            "hostPath type check failed: {shown} is not a {wanted}, it's a {name}"
        ))),
        Err(error) => Err(VolumeError::HostPath(format!(
            "hostPath type check failed, {shown} is not a {wanted}, \
             unable to determine its type: {error}"
        ))),
    }
}

/// What a path is: in words, and as the name of the type.
fn kind(path: &Path) -> io::Result<(&'static str, &'static str)> {
    let kind = fs::metadata(path)?.file_type();
    Ok(if kind.is_dir() {
        ("directory", "Directory")
    } else if kind.is_socket() {
        ("socket file", "Socket")
    } else if kind.is_char_device() {
        ("character device", "CharDevice")
    } else if kind.is_block_device() {
        ("block device", "BlockDevice")
    } else {
        ("file", "File")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &Path, type_: &str) -> HostPathVolumeSource {
        HostPathVolumeSource {
            path: path.display().to_string(),
            type_: Some(type_.to_owned()),
        }
    }

    #[test]
    fn a_path_that_is_not_of_its_type_is_refused_with_what_it_is() {
        let dir = tempfile::tempdir().expect("temp dir");
        assert!(set_up(&source(dir.path(), "Directory")).is_ok());
        let error = set_up(&source(dir.path(), "File")).expect_err("refused");
        let expected = format!(
            "hostPath type check failed: {} is not a file, it's a Directory",
            dir.path().display()
        );
        assert_eq!(error.to_string(), expected);
        let missing = dir.path().join("missing");
        assert!(set_up(&source(&missing, "Directory")).is_err());
        assert!(set_up(&source(&missing, "DirectoryOrCreate")).is_ok());
        assert!(missing.is_dir());
        assert!(set_up(&source(&dir.path().join("f"), "FileOrCreate")).is_ok());
        assert!(set_up(&source(Path::new("/dev/null"), "CharDevice")).is_ok());
    }
}
