//! Reading manifests, and bringing what they name into the store.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::archive::{Archive, decompress};
use super::reference::{is_digest, is_hex, normalize};
use super::{Config, Error, Image, Images, Progress, blob, index, layer};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// How deep indexes may be nested; real ones are one or two levels deep.
const DEPTH: usize = 4;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Index {
    #[serde(deserialize_with = "list")]
    manifests: Vec<Descriptor>,
}

/// A list; some tools write an empty one as null.
fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list = Option::<Vec<T>>::deserialize(deserializer)?;
    Ok(list.unwrap_or_default())
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    media_type: String,
    config: Descriptor,
    #[serde(deserialize_with = "list")]
    layers: Vec<Descriptor>,
}

/// An entry of a docker archive's manifest.json.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(deserialize_with = "list")]
    repo_tags: Vec<String>,
    #[serde(deserialize_with = "list")]
    layers: Vec<String>,
}

/// An image's configuration, as OCI and Docker both write it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ImageConfig {
    architecture: String,
    os: String,
    config: Option<RunConfig>,
    rootfs: RootFs,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RootFs {
    #[serde(deserialize_with = "list")]
    diff_ids: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct RunConfig {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    user: Option<String>,
    working_dir: Option<String>,
    stop_signal: Option<String>,
    volumes: Option<BTreeMap<String, serde_json::Value>>,
}

/// An image as the archive has it: where its parts are.
struct Found {
    names: Vec<String>,
    /// The manifest's own bytes; `None` for docker archives, which have none.
    manifest: Option<Vec<u8>>,
    config: Vec<u8>,
    /// For each layer the file's name in the archive and the blob's digest if the archive states it.
    layers: Vec<(String, Option<String>)>,
}

struct Import<'a> {
    images: &'a Images,
    archive: Archive,
    progress: &'a mut dyn FnMut(Progress),
}

/// See [`Images::import`]; `name` is normalised.
pub(super) fn import(
    images: &Images,
    path: &Path,
    name: Option<String>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Image>, Error> {
    let _lock = images.lock()?;
    let archive = Archive::open(images, path)?;
    let mut import = Import {
        images,
        archive,
        progress,
    };
    let mut found = import.find()?;
    if let Some(name) = name {
        if found.len() > 1 {
            return Err(Error::ManyImages(found.len()));
        }
        for image in &mut found {
            image.names = vec![name.clone()];
        }
    }
    if found.iter().any(|image| image.names.is_empty()) {
        return Err(Error::NoName);
    }
    let mut imported = Vec::new();
    for image in found {
        imported.push(import.bring(image)?);
    }
    blob::sync_file_system(&images.root)?;
    enter(images, &imported)
}

/// Puts images into the list; a name that another image had moves over.
fn enter(images: &Images, imported: &[Image]) -> Result<Vec<Image>, Error> {
    let mut all = index::read(&images.root)?;
    let mut entered = Vec::new();
    for image in imported {
        let mut image = image.clone();
        for other in &mut all {
            other.names.retain(|name| !image.names.contains(name));
        }
        if let Some(place) = all.iter().position(|other| other.id == image.id) {
            image.names.extend(all.remove(place).names);
        }
        image.names.sort();
        image.names.dedup();
        all.push(image.clone());
        entered.push(image);
    }
    index::write(&images.root, &all)?;
    Ok(entered)
}

impl Import<'_> {
    fn find(&self) -> Result<Vec<Found>, Error> {
        if self.archive.has("index.json") {
            self.find_oci()
        } else if self.archive.has("manifest.json") {
            self.find_docker()
        } else {
            let reason = "neither index.json (OCI image layout) nor manifest.json (docker save)";
            Err(Error::NotAnImage(reason.to_owned()))
        }
    }

    fn find_oci(&self) -> Result<Vec<Found>, Error> {
        let index: Index = parse("index.json", &self.archive.document("index.json")?)?;
        let mut found: Vec<(String, Found)> = Vec::new();
        for descriptor in &index.manifests {
            let Some((digest, bytes)) = self.manifest(descriptor, 0)? else {
                continue;
            };
            let names = names(&descriptor.annotations)?;
            if let Some((_, same)) = found.iter_mut().find(|(other, _)| *other == digest) {
                same.names.extend(names);
                continue;
            }
            let manifest: Manifest = parse(&digest, &bytes)?;
            let layers = manifest.layers.iter().map(|layer| {
                check_layer_type(&layer.media_type)?;
                Ok((blob_name(&layer.digest)?, Some(layer.digest.clone())))
            });
            let layers = layers.collect::<Result<_, Error>>()?;
            let image = Found {
                names,
                config: self.verified(&manifest.config.digest)?,
                layers,
                manifest: Some(bytes),
            };
            found.push((digest, image));
        }
        if found.is_empty() {
            return Err(Error::Empty);
        }
        Ok(found.into_iter().map(|(_, image)| image).collect())
    }

    /// Follows a descriptor to the manifest for this machine; `None` if it is of another one or not an image.
    fn manifest(
        &self,
        descriptor: &Descriptor,
        depth: usize,
    ) -> Result<Option<(String, Vec<u8>)>, Error> {
        match descriptor.media_type.as_str() {
            MANIFEST | DOCKER_MANIFEST => {
                let bytes = self.verified(&descriptor.digest)?;
                Ok(Some((descriptor.digest.clone(), bytes)))
            }
            INDEX | DOCKER_INDEX if depth < DEPTH => {
                let index: Index = parse(&descriptor.digest, &self.verified(&descriptor.digest)?)?;
                let fits = |inner: &&Descriptor| match &inner.platform {
                    Some(platform) => {
                        platform.os == "linux" && platform.architecture == architecture()
                    }
                    None => true,
                };
                let manifests = index.manifests;
                match manifests.iter().find(fits) {
                    Some(inner) => self.manifest(inner, depth + 1),
                    None if manifests.is_empty() => Err(Error::Empty),
                    None => Err(other_platform(&manifests)),
                }
            }
            other => Err(Error::MediaType(other.to_owned())),
        }
    }

    fn find_docker(&self) -> Result<Vec<Found>, Error> {
        let entries: Option<Vec<DockerImage>> =
            parse("manifest.json", &self.archive.document("manifest.json")?)?;
        let mut found = Vec::new();
        for entry in entries.unwrap_or_default() {
            let config = self.archive.document(&entry.config)?;
            // The configuration is named by its digest, `<hex>.json` or `blobs/sha256/<hex>`.
            let stem = entry.config.trim_end_matches(".json");
            let stem = stem.rsplit('/').next().unwrap_or(stem);
            if is_hex(stem) {
                check_digest(&format!("sha256:{stem}"), &config)?;
            }
            let tags = entry.repo_tags;
            found.push(Found {
                names: tags
                    .iter()
                    .map(|tag| normalize(tag))
                    .collect::<Result<_, _>>()?,
                manifest: None,
                config,
                layers: entry.layers.into_iter().map(|name| (name, None)).collect(),
            });
        }
        if found.is_empty() {
            return Err(Error::Empty);
        }
        Ok(found)
    }

    /// A small blob of the layout, its digest checked.
    fn verified(&self, digest: &str) -> Result<Vec<u8>, Error> {
        let name = blob_name(digest)?;
        if !self.archive.has(&name) {
            return Err(Error::MissingBlob(digest.to_owned()));
        }
        let bytes = self.archive.document(&name)?;
        check_digest(digest, &bytes)?;
        Ok(bytes)
    }

    /// Copies an image's blobs and unpacks its layers.
    fn bring(&mut self, found: Found) -> Result<Image, Error> {
        let config: ImageConfig = parse("the image's configuration", &found.config)?;
        let wanted = format!("linux/{}", architecture());
        let platform = format!("{}/{}", config.os, config.architecture);
        if platform != wanted {
            return Err(Error::Platform {
                found: platform,
                wanted,
            });
        }
        let diff_ids = config.rootfs.diff_ids;
        if diff_ids.len() != found.layers.len() {
            let reason = format!("{} layers, {} diff ids", found.layers.len(), diff_ids.len());
            return Err(Error::NotAnImage(reason));
        }
        let (id, mut size) = blob::store(self.images, found.config.as_slice(), None, |_| {})?;
        let mut layers = Vec::new();
        for (number, ((name, digest), diff_id)) in found.layers.iter().zip(&diff_ids).enumerate() {
            if !is_digest(diff_id) {
                return Err(Error::NotAnImage(format!("diff id {diff_id:?}")));
            }
            let what = format!("layer {}/{}", number + 1, diff_ids.len());
            let descriptor = self.bring_layer(&what, name, digest.as_deref(), diff_id)?;
            size += descriptor.size;
            layers.push(descriptor);
        }
        let blobs = layers.iter().map(|layer| layer.digest.clone()).collect();
        let manifest = match found.manifest {
            Some(manifest) => manifest,
            None => made_manifest(&id, found.config.len() as u64, layers),
        };
        let (digest, manifest_size) = blob::store(self.images, manifest.as_slice(), None, |_| {})?;
        Ok(Image {
            id,
            names: found.names,
            digest,
            size: size + manifest_size,
            config: config.config.unwrap_or_default().into(),
            layers: diff_ids,
            blobs,
        })
    }

    /// Copies one layer's blob and unpacks it, unless an image that is there has it already.
    fn bring_layer(
        &mut self,
        what: &str,
        name: &str,
        digest: Option<&str>,
        diff_id: &str,
    ) -> Result<Descriptor, Error> {
        let (source, total) = self.archive.read(name)?;
        let mut report = |done| {
            (self.progress)(Progress {
                what: what.to_owned(),
                done,
                total,
            });
        };
        report(0);
        let (digest, size) = blob::store(self.images, source, digest, &mut report)?;
        let folder = self.images.layer_dir(diff_id);
        if !folder.is_dir() {
            unpack_layer(self.images, &digest, diff_id)?;
        }
        report(total);
        Ok(Descriptor {
            media_type: LAYER.to_owned(),
            digest,
            size,
            ..Descriptor::default()
        })
    }
}

fn unpack_layer(images: &Images, digest: &str, diff_id: &str) -> Result<(), Error> {
    let path = images.blob_path(digest);
    let blob = File::open(&path).map_err(Error::io(&path))?;
    let temporary = images.root.join("tmp/layer");
    std::fs::create_dir(&temporary).map_err(Error::io(&temporary))?;
    let unpacked = layer::unpack(digest, decompress(blob)?, &temporary).and_then(|actual| {
        if actual == diff_id {
            Ok(())
        } else {
            Err(Error::DiffId {
                layer: digest.to_owned(),
                expected: diff_id.to_owned(),
                actual,
            })
        }
    });
    if let Err(error) = unpacked {
        std::fs::remove_dir_all(&temporary).map_err(Error::io(&temporary))?;
        return Err(error);
    }
    blob::sync_file_system(&temporary)?;
    let folder = images.layer_dir(diff_id);
    std::fs::rename(&temporary, &folder).map_err(Error::io(&folder))
}

/// The manifest that a docker archive lacks.
fn made_manifest(id: &str, config_size: u64, layers: Vec<Descriptor>) -> Vec<u8> {
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST.to_owned(),
        config: Descriptor {
            media_type: CONFIG.to_owned(),
            digest: id.to_owned(),
            size: config_size,
            ..Descriptor::default()
        },
        layers,
    };
    serde_json::to_vec(&manifest).expect("strings and numbers always become JSON")
}

impl From<RunConfig> for Config {
    fn from(config: RunConfig) -> Self {
        Self {
            entrypoint: config.entrypoint.unwrap_or_default(),
            command: config.cmd.unwrap_or_default(),
            env: config.env.unwrap_or_default(),
            user: config.user.unwrap_or_default(),
            working_dir: config.working_dir.unwrap_or_default(),
            stop_signal: config.stop_signal.filter(|signal| !signal.is_empty()),
            volumes: config.volumes.unwrap_or_default().into_keys().collect(),
        }
    }
}

/// The names in a descriptor's annotations: containerd writes the whole name, others a whole name or only a tag.
fn names(annotations: &BTreeMap<String, String>) -> Result<Vec<String>, Error> {
    let name = annotations
        .get("io.containerd.image.name")
        .or_else(|| annotations.get("org.opencontainers.image.ref.name"));
    name.into_iter().map(|name| normalize(name)).collect()
}

fn blob_name(digest: &str) -> Result<String, Error> {
    if is_digest(digest) {
        Ok(format!("blobs/sha256/{}", &digest["sha256:".len()..]))
    } else {
        Err(Error::NotAnImage(format!("digest {digest:?}")))
    }
}

fn check_digest(expected: &str, bytes: &[u8]) -> Result<(), Error> {
    let actual = blob::digest(bytes);
    if actual == expected {
        Ok(())
    } else {
        Err(Error::Digest {
            expected: expected.to_owned(),
            actual,
        })
    }
}

fn check_layer_type(media_type: &str) -> Result<(), Error> {
    let known = [
        LAYER,
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.docker.image.rootfs.diff.tar",
    ];
    let base = media_type
        .trim_end_matches("+gzip")
        .trim_end_matches("+zstd")
        .trim_end_matches(".gzip")
        .trim_end_matches(".zstd");
    if known.contains(&base) {
        Ok(())
    } else {
        Err(Error::MediaType(media_type.to_owned()))
    }
}

fn parse<T: for<'de> Deserialize<'de>>(name: &str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::NotAnImage(format!("{name}: {error}")))
}

fn other_platform(manifests: &[Descriptor]) -> Error {
    let found: Vec<String> = manifests
        .iter()
        .filter_map(|manifest| manifest.platform.as_ref())
        .map(|platform| format!("{}/{}", platform.os, platform.architecture))
        .collect();
    Error::Platform {
        found: found.join(", "),
        wanted: format!("linux/{}", architecture()),
    }
}

/// This machine's architecture by Go's name.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
