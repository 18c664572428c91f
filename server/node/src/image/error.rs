//! Why an image is refused.

use std::path::PathBuf;

/// An error of the image store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A blob's content is not what its name says.
    #[error("digest mismatch: expected {expected}, content is {actual}")]
    Digest {
        /// The name.
        expected: String,
        /// What was computed.
        actual: String,
    },
    /// An unpacked layer is not the one that the configuration names.
    #[error("layer {layer}: diff id mismatch: expected {expected}, content is {actual}")]
    DiffId {
        /// The layer's blob.
        layer: String,
        /// What the configuration says.
        expected: String,
        /// What was computed.
        actual: String,
    },
    /// A blob that a manifest names is not in the archive.
    #[error("blob {0} is missing from the archive")]
    MissingBlob(String),
    /// A layer holds a path that would leave the image.
    #[error("layer {layer}: unsafe path {path:?}: {reason}")]
    UnsafePath {
        /// The layer.
        layer: String,
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Neither an OCI image layout nor a docker archive, or a damaged one.
    #[error("not an image: {0}")]
    NotAnImage(String),
    /// A layout or archive that is sound and empty.
    #[error("there is no image in it")]
    Empty,
    /// The image is for another machine.
    #[error("image is for {found}, this machine is {wanted}")]
    Platform {
        /// The image's.
        found: String,
        /// Ours.
        wanted: String,
    },
    /// A form that is not supported, by its media type.
    #[error("unsupported media type {0:?}")]
    MediaType(String),
    /// An image name that can't be read.
    #[error("invalid image reference {0:?}")]
    Reference(String),
    /// The archive gives no name, and none was given.
    #[error("the archive names no image: give a name")]
    NoName,
    /// One name was given for an archive of several images.
    #[error("the archive holds {0} images: they can't all have the one name that was given")]
    ManyImages(usize),
    /// There is no such image.
    #[error("image {0:?} not found")]
    NotFound(String),
}

impl Error {
    /// For `map_err`: names the file.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
