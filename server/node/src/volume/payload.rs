//! Volumes made of files that objects hold: `configMap`, `secret`, `downwardAPI`, `projected`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{
    ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, ProjectedVolumeSource, Secret, Volume,
};

use super::atomic::{self, File, Payload};
use super::{Made, VolumeError, ownership, system, token};
use crate::env::{EnvError, field, resource};
use crate::objects::{ObjectError, Objects};
use crate::paths::Paths;
use crate::pod::spec;

/// What volumes are made with.
pub(crate) struct Maker<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) paths: &'a Paths,
    pub(crate) objects: &'a Objects,
    pub(crate) tokens: &'a token::Tokens,
    pub(crate) allocatable: resource::Allocatable,
}

/// Files are readable for everybody unless the volume says otherwise.
const DEFAULT_MODE: i32 = 0o644;

/// Makes or updates a volume of files.
pub(super) async fn set_up(
    maker: &Maker<'_>,
    volume: &Volume,
    made: &mut Made,
) -> Result<PathBuf, VolumeError> {
    let namespace = spec::namespace(maker.pod);
    let uid = spec::uid(maker.pod);
    let mut payload = Payload::new();
    let dir;
    if let Some(source) = &volume.config_map {
        dir = maker.paths.volume(uid, "configmap", &volume.name);
        let map = maker.objects.config_map(namespace, &source.name).await;
        let optional = source.optional == Some(true);
        if let Some(map) = unless_optional(map, optional)? {
            let files = Files::new(source.items.as_deref(), source.default_mode, optional);
            files.of_config_map(&map, &mut payload)?;
        }
    } else if let Some(source) = &volume.secret {
        dir = maker.paths.secret_volume(uid, "secret", &volume.name);
        let name = source.secret_name.as_deref().unwrap_or_default();
        let secret = maker.objects.secret(namespace, name).await;
        let optional = source.optional == Some(true);
        if let Some(secret) = unless_optional(secret, optional)? {
            let files = Files::new(source.items.as_deref(), source.default_mode, optional);
            files.of_secret(&secret, &mut payload)?;
        }
    } else if let Some(source) = &volume.downward_api {
        dir = maker.paths.volume(uid, "downward-api", &volume.name);
        let items = source.items.as_deref().unwrap_or_default();
        downward(maker, items, source.default_mode, &mut payload)?;
    } else if let Some(source) = &volume.projected {
        dir = maker.paths.secret_volume(uid, "projected", &volume.name);
        project(maker, source, made, &mut payload).await?;
    } else {
        return Err(VolumeError::Unsupported(volume.name.clone()));
    }
    store(maker, &dir, &payload)?;
    Ok(dir)
}

fn store(maker: &Maker<'_>, dir: &Path, payload: &Payload) -> Result<(), VolumeError> {
    if !dir.is_dir() {
        fs::create_dir_all(dir).map_err(VolumeError::io("create", dir))?;
        let secret = dir.starts_with(maker.paths.pod_run(spec::uid(maker.pod)));
        // Secrets never reach a disk.
        if secret && !system::is_in_memory(dir) {
            system::mount_tmpfs(dir, None, 0o755)
                .map_err(VolumeError::io("mount a tmpfs at", dir))?;
        }
        let everybody = fs::Permissions::from_mode(0o777);
        fs::set_permissions(dir, everybody).map_err(VolumeError::io("chmod", dir))?;
    }
    let prepare = |new: &Path| ownership::apply(maker.pod, new, true);
    atomic::write(dir, payload, prepare)?;
    Ok(())
}

/// An object that need not be there is `None` when it is not.
fn unless_optional<T>(
    found: Result<T, ObjectError>,
    optional: bool,
) -> Result<Option<T>, ObjectError> {
    match found {
        Ok(object) => Ok(Some(object)),
        Err(ObjectError::NotFound { .. }) if optional => Ok(None),
        Err(error) => Err(error),
    }
}

/// Which keys become which files.
struct Files<'a> {
    items: &'a [KeyToPath],
    mode: i32,
    optional: bool,
}

impl<'a> Files<'a> {
    fn new(items: Option<&'a [KeyToPath]>, mode: Option<i32>, optional: bool) -> Self {
        Self {
            items: items.unwrap_or_default(),
            mode: mode.unwrap_or(DEFAULT_MODE),
            optional,
        }
    }

    fn of_config_map(&self, map: &ConfigMap, payload: &mut Payload) -> Result<(), VolumeError> {
        let text = map.data.iter().flatten();
        let text = text.map(|(key, value)| (key.as_str(), value.as_bytes()));
        let binary = map.binary_data.iter().flatten();
        let binary = binary.map(|(key, value)| (key.as_str(), value.0.as_slice()));
        let data: Vec<_> = text.chain(binary).collect();
        self.select(&data, ("configmap", "config key"), payload)
    }

    fn of_secret(&self, secret: &Secret, payload: &mut Payload) -> Result<(), VolumeError> {
        let data = secret.data.iter().flatten();
        let data: Vec<_> = data
            .map(|(key, value)| (key.as_str(), value.0.as_slice()))
            .collect();
        self.select(&data, ("secret", "secret key"), payload)
    }

    fn select(
        &self,
        data: &[(&str, &[u8])],
        words: (&'static str, &'static str),
        payload: &mut Payload,
    ) -> Result<(), VolumeError> {
        if self.items.is_empty() {
            for (key, value) in data {
                payload.insert((*key).to_owned(), file(value.to_vec(), self.mode));
            }
            return Ok(());
        }
        for item in self.items {
            let Some((_, value)) = data.iter().find(|(key, _)| *key == item.key) else {
                if self.optional {
                    continue;
                }
                return Err(VolumeError::Key {
                    kind: words.0,
                    what: words.1,
                    key: item.key.clone(),
                });
            };
            let mode = item.mode.unwrap_or(self.mode);
            payload.insert(item.path.clone(), file(value.to_vec(), mode));
        }
        Ok(())
    }
}

fn file(data: Vec<u8>, mode: i32) -> File {
    File {
        data,
        mode: u32::try_from(mode).unwrap_or_default(),
        owner: None,
    }
}

fn downward(
    maker: &Maker<'_>,
    items: &[DownwardAPIVolumeFile],
    mode: Option<i32>,
    payload: &mut Payload,
) -> Result<(), VolumeError> {
    for item in items {
        let text = if let Some(reference) = &item.field_ref {
            field::value(maker.pod, &reference.field_path, None)
        } else if let Some(reference) = &item.resource_field_ref {
            let name = reference.container_name.as_deref().unwrap_or_default();
            let container = spec::container(maker.pod, name)
                .ok_or_else(|| format!("container {name} not found"));
            container.and_then(|c| resource::value(maker.pod, c, reference, &maker.allocatable))
        } else {
            continue;
        };
        let text = text.map_err(|why| VolumeError::Field(EnvError::Reference(why)))?;
        let mode = item.mode.or(mode).unwrap_or(DEFAULT_MODE);
        payload.insert(item.path.clone(), file(text.into_bytes(), mode));
    }
    Ok(())
}

async fn project(
    maker: &Maker<'_>,
    volume: &ProjectedVolumeSource,
    made: &mut Made,
    payload: &mut Payload,
) -> Result<(), VolumeError> {
    let namespace = spec::namespace(maker.pod);
    let mode = volume.default_mode;
    for source in volume.sources.iter().flatten() {
        if let Some(source) = &source.config_map {
            let optional = source.optional == Some(true);
            let map = maker.objects.config_map(namespace, &source.name).await;
            if let Some(map) = unless_optional(map, optional)? {
                let files = Files::new(source.items.as_deref(), mode, optional);
                files.of_config_map(&map, payload)?;
            }
        } else if let Some(source) = &source.secret {
            let optional = source.optional == Some(true);
            let secret = maker.objects.secret(namespace, &source.name).await;
            if let Some(secret) = unless_optional(secret, optional)? {
                let files = Files::new(source.items.as_deref(), mode, optional);
                files.of_secret(&secret, payload)?;
            }
        } else if let Some(source) = &source.downward_api {
            let items = source.items.as_deref().unwrap_or_default();
            downward(maker, items, mode, payload)?;
        } else if let Some(source) = &source.service_account_token {
            let token = maker.tokens.get(maker.pod, source).await?;
            let owner = ownership::user(maker.pod);
            // With a group the file becomes 0640 when the group gets it.
            let mode = match owner.or(ownership::group(maker.pod)) {
                Some(_) => 0o600,
                None => mode.unwrap_or(DEFAULT_MODE),
            };
            let file = File {
                owner,
                ..file(token.text.into_bytes(), mode)
            };
            payload.insert(source.path.clone(), file);
            made.renew_at = Some(match made.renew_at {
                Some(time) => time.min(token.renew_at),
                None => token.renew_at,
            });
        } else {
            return Err(VolumeError::Unsupported("projected".to_owned()));
        }
    }
    Ok(())
}
