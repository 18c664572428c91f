//! Where the agent keeps things on disk.
//!
//! ```text
//! DATA/pods/UID/volumes/KIND/NAME     volumes that may lie on a disk
//! DATA/pods/UID/containers/NAME/N     the termination message of attempt N
//! DATA/logs/NS_NAME_UID/NAME/N.log    logs; they outlive the pod's containers, not the pod's object
//! RUN/volumes/UID/KIND/NAME           volumes that must not lie on a disk: secrets, tokens, memory
//! RUN/volumes/UID/subpaths/...        where parts of volumes are mounted
//! ```
//! All mounts are below RUN, so that taking down what is there ends them.

use std::path::{Path, PathBuf};

/// The two roots: what lasts, and what a reboot ends.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    data: PathBuf,
    run: PathBuf,
}

impl Paths {
    pub(crate) fn new(data: &Path, run: &Path) -> Self {
        Self {
            data: data.to_owned(),
            run: run.to_owned(),
        }
    }

    /// Everything of a pod that may lie on a disk, but its logs.
    pub(crate) fn pod(&self, uid: &str) -> PathBuf {
        self.data.join("pods").join(uid)
    }

    /// Everything of a pod that must not lie on a disk.
    pub(crate) fn pod_run(&self, uid: &str) -> PathBuf {
        self.run_volumes().join(uid)
    }

    /// The folder that holds a folder a pod of what must not lie on a disk.
    pub(crate) fn run_volumes(&self) -> PathBuf {
        self.run.join("volumes")
    }

    /// The folder that holds a folder a pod.
    pub(crate) fn pods(&self) -> PathBuf {
        self.data.join("pods")
    }

    /// A volume that may lie on a disk.
    pub(crate) fn volume(&self, uid: &str, kind: &str, name: &str) -> PathBuf {
        self.pod(uid).join("volumes").join(kind).join(name)
    }

    /// A volume that must not lie on a disk.
    pub(crate) fn secret_volume(&self, uid: &str, kind: &str, name: &str) -> PathBuf {
        self.pod_run(uid).join(kind).join(name)
    }

    /// What is mounted at `terminationMessagePath` of one attempt of a container.
    pub(crate) fn termination_message(&self, uid: &str, container: &str, attempt: u32) -> PathBuf {
        self.pod(uid)
            .join("containers")
            .join(container)
            .join(attempt.to_string())
    }

    /// The folder of all logs of a pod.
    pub(crate) fn pod_logs(&self, namespace: &str, name: &str, uid: &str) -> PathBuf {
        self.data
            .join("logs")
            .join(format!("{namespace}_{name}_{uid}"))
    }

    /// Where `seccompProfile.localhostProfile` is looked for.
    pub(crate) fn seccomp_profiles(&self) -> PathBuf {
        self.data.join("seccomp")
    }

    /// The folder that holds a folder of logs a pod.
    pub(crate) fn logs(&self) -> PathBuf {
        self.data.join("logs")
    }
}
