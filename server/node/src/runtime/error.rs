//! What can go wrong with pods and containers.

/// An error of the runtime.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The image is not on this machine.
    #[error("image \"{0}\" is not present on this node")]
    ImageNotFound(String),
    /// The image store failed.
    #[error(transparent)]
    Image(#[from] crate::image::Error),
    /// The container can't be made as it is specified; trying again does not help.
    #[error("{0}")]
    InvalidSpec(String),
    /// The container was made and its program could not be executed.
    #[error("failed to start container: {0}")]
    Start(String),
    /// There is no such container in the pod.
    #[error("container \"{0}\" not found")]
    NoSuchContainer(String),
    /// The container does not run.
    #[error("container \"{0}\" is not running")]
    NotRunning(String),
    /// The command of an exec could not be executed.
    #[error("{0}")]
    Exec(String),
    /// The pod's network could not be made.
    #[error("pod network: {0}")]
    Network(String),
    /// The runtime has been taken down.
    #[error("this node is stopping")]
    Closed,
    /// The pod's shim does not answer.
    #[error("shim of pod {uid}: {reason}")]
    Shim {
        /// The pod.
        uid: String,
        /// What happened.
        reason: String,
    },
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl Error {
    /// For `map_err`: names what was tried.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
