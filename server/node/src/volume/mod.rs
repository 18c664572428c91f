//! Volumes: made before a pod's containers, kept up to date while they run, gone after them.
//!
//! ```text
//! lease the objects ──► set_up (each volume once) ──► containers run ──► tear_down
//!                                                        │  ▲
//!                                    a change, a token ──┘  └── refresh
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Volume};

use crate::env::EnvError;
use crate::objects::{Key, Kind, ObjectError};
use crate::pod::spec;

pub(crate) mod atomic;
mod empty_dir;
mod host_path;
pub(crate) mod mounts;
mod ownership;
mod payload;
pub(crate) mod subpath;
mod system;
pub(crate) mod token;

pub(crate) use payload::Maker;

/// Why a volume can't be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error(transparent)]
    Field(#[from] EnvError),
    /// A kind of volume that this node does not have.
    #[error("no volume plugin matched: volume \"{0}\" has a source that this node does not offer")]
    Unsupported(String),
    /// An item names a key that is not there.
    #[error("{kind} references non-existent {what}: {key}")]
    Key {
        kind: &'static str,
        what: &'static str,
        key: String,
    },
    /// A path that would leave the volume.
    #[error("invalid path {0:?}: it must stay below the volume")]
    Path(String),
    /// A host path is not what its type says.
    #[error("{0}")]
    HostPath(String),
    /// A token was refused.
    #[error("failed to fetch token: {0}")]
    Token(String),
    #[error("{what} {}: {source}", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl VolumeError {
    /// For `map_err`: names what was tried with which path.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io {
            what,
            path: path.clone(),
            source,
        }
    }
}

/// A volume that could not be made: its name and why.
#[derive(Debug, thiserror::Error)]
#[error("MountVolume.SetUp failed for volume \"{volume}\" : {source}")]
pub(crate) struct SetUpError {
    pub(crate) volume: String,
    pub(crate) source: VolumeError,
}

/// A pod's volumes as they lie on the host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    /// By volume name.
    pub(crate) paths: BTreeMap<String, PathBuf>,
    /// When a token has to be renewed, if there is one.
    pub(crate) renew_at: Option<Timestamp>,
}

/// The ConfigMaps and Secrets that a pod refers to, in volumes and in environments.
pub(crate) fn objects(pod: &Pod) -> Vec<Key> {
    let mut keys = BTreeSet::new();
    let mut add = |kind, name: &str| {
        let namespace = spec::namespace(pod).to_owned();
        let name = name.to_owned();
        keys.insert(Key {
            kind,
            namespace,
            name,
        });
    };
    for volume in spec::spec(pod).volumes.iter().flatten() {
        of_volume(volume, &mut add);
    }
    for container in spec::all_containers(pod) {
        for source in container.env_from.iter().flatten() {
            if let Some(map) = &source.config_map_ref {
                add(Kind::ConfigMap, &map.name);
            }
            if let Some(secret) = &source.secret_ref {
                add(Kind::Secret, &secret.name);
            }
        }
        let variables = container.env.iter().flatten();
        for source in variables.filter_map(|variable| variable.value_from.as_ref()) {
            if let Some(map) = &source.config_map_key_ref {
                add(Kind::ConfigMap, &map.name);
            }
            if let Some(secret) = &source.secret_key_ref {
                add(Kind::Secret, &secret.name);
            }
        }
    }
    keys.into_iter().collect()
}

fn of_volume(volume: &Volume, add: &mut impl FnMut(Kind, &str)) {
    if let Some(map) = &volume.config_map {
        add(Kind::ConfigMap, &map.name);
    }
    if let Some(name) = volume
        .secret
        .as_ref()
        .and_then(|s| s.secret_name.as_deref())
    {
        add(Kind::Secret, name);
    }
    let projected = volume.projected.as_ref();
    for source in projected
        .into_iter()
        .flat_map(|p| p.sources.iter().flatten())
    {
        if let Some(map) = &source.config_map {
            add(Kind::ConfigMap, &map.name);
        }
        if let Some(secret) = &source.secret {
            add(Kind::Secret, &secret.name);
        }
    }
}

/// Makes all volumes of a pod, or brings those up to date that follow objects. Idempotent.
pub(crate) async fn set_up(maker: &Maker<'_>, pod: &Pod) -> Result<Made, SetUpError> {
    let mut made = Made::default();
    for volume in spec::spec(pod).volumes.iter().flatten() {
        let result = set_up_one(maker, volume, &mut made).await;
        let path = result.map_err(|source| SetUpError {
            volume: volume.name.clone(),
            source,
        })?;
        made.paths.insert(volume.name.clone(), path);
    }
    Ok(made)
}

async fn set_up_one(
    maker: &Maker<'_>,
    volume: &Volume,
    made: &mut Made,
) -> Result<PathBuf, VolumeError> {
    if let Some(source) = &volume.empty_dir {
        return empty_dir::set_up(maker, &volume.name, source);
    }
    if let Some(source) = &volume.host_path {
        return host_path::set_up(source);
    }
    payload::set_up(maker, volume, made).await
}

/// Removes everything of a pod's volumes: mounts first, then files. Idempotent.
///
/// What is not ours to remove, the target of a host path, is never below these folders except through
/// mounts, and those are gone before the first file is removed.
pub(crate) fn tear_down(paths: &crate::paths::Paths, uid: &str) -> Result<(), VolumeError> {
    for dir in [paths.pod(uid), paths.pod_run(uid)] {
        system::unmount_below(&dir).map_err(VolumeError::io("unmount", &dir))?;
        match std::fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(VolumeError::io("remove", &dir)(error));
            }
            _ => {}
        }
    }
    Ok(())
}
