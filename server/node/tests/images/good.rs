//! Images that are taken, and what becomes of them.

use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use flate2::Compression;
use flate2::write::GzEncoder;
use node::image::Images;
use serde_json::json;
use tar::EntryType;

use crate::builder::{Layout, Store, digest, entry, file, is_root, tar};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

/// All files of a folder as one tar.
fn packed(folder: &std::path::Path) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_dir_all(".", folder).expect("added");
    builder.into_inner().expect("finished")
}

#[test]
fn layers_are_unpacked_whatever_their_compression() {
    if !is_root() {
        return;
    }
    let plain = tar(&[file("plain", b"1")]);
    let gzipped = tar(&[file("gzip", b"2")]);
    let zstandard = tar(&[file("zstd", b"3")]);
    let layout = Layout::new()
        .named("demo:v1")
        .layer(&plain, &plain, "")
        .layer(&gzip(&gzipped), &gzipped, "+gzip")
        .layer(
            &zstd::encode_all(zstandard.as_slice(), 1).expect("compressed"),
            &zstandard,
            "+zstd",
        );
    let store = Store::new();
    let mut steps = Vec::new();
    let images = store
        .images
        .import(layout.finish(), None, &mut |step| steps.push(step))
        .expect("imported");
    assert_eq!(images[0].names, ["docker.io/library/demo:v1"]);
    let files: Vec<bool> = store
        .images
        .lower_dirs(&images[0])
        .iter()
        .zip(["zstd", "gzip", "plain"])
        .map(|(layer, name)| layer.join(name).is_file())
        .collect();
    assert_eq!(files, [true, true, true], "the highest layer comes first");
    assert!(
        steps
            .iter()
            .any(|step| step.what == "layer 3/3" && step.done == step.total)
    );
    assert!(store.names("tmp").iter().all(|name| name == "index.json"));
}

#[test]
fn a_layout_may_come_as_a_tar_and_a_compressed_one() {
    if !is_root() {
        return;
    }
    let layout = Layout::new().named("demo").entries(&[file("a", b"x")]);
    let tar = packed(layout.finish());
    for bytes in [tar.clone(), gzip(&tar)] {
        let store = Store::new();
        let path = store.folder.path().join("archive.tar");
        std::fs::write(&path, bytes).expect("written");
        let image = store.import(&path).expect("imported");
        assert_eq!(
            image.names,
            ["docker.io/library/test:latest"],
            "the given name counts"
        );
    }
}

#[test]
fn docker_archives_are_taken_with_their_tags() {
    if !is_root() {
        return;
    }
    let layer = tar(&[file("a", b"x")]);
    let mut config = Layout::new().config;
    config["config"] =
        json!({ "Cmd": ["/a"], "User": "web", "WorkingDir": "/srv", "StopSignal": "SIGINT" });
    config["rootfs"]["diff_ids"] = json!([digest(&layer)]);
    let config = config.to_string();
    let config_name = format!("{}.json", &digest(config.as_bytes())["sha256:".len()..]);
    let manifest = json!([{ "Config": config_name, "RepoTags": ["me/demo:1", "demo:2"], "Layers": ["abc/layer.tar"] }]);
    let archive = tar(&[
        file("abc/layer.tar", &layer),
        file(&config_name, config.as_bytes()),
        file("manifest.json", manifest.to_string().as_bytes()),
    ]);
    let store = Store::new();
    let path = store.folder.path().join("saved.tar");
    std::fs::write(&path, archive).expect("written");
    let images = store
        .images
        .import(&path, None, &mut |_| {})
        .expect("imported");
    assert_eq!(
        images[0].names,
        ["docker.io/library/demo:2", "docker.io/me/demo:1"]
    );
    assert_eq!(images[0].config.command, ["/a"]);
    assert_eq!(images[0].config.user, "web");
    assert_eq!(images[0].config.stop_signal.as_deref(), Some("SIGINT"));
    assert!(store.images.get("me/demo:1").expect("readable").is_some());
}

#[test]
fn deletions_become_overlayfs_own() {
    if !is_root() {
        return;
    }
    let store = Store::new();
    let layout = Layout::new().entries(&[
        file("folder/.wh.gone", b""),
        entry(EntryType::Directory, "opaque/", "", b""),
        file("opaque/.wh..wh..opq", b""),
    ]);
    let image = store.import(layout.finish()).expect("imported");
    let layer = &store.images.lower_dirs(&image)[0];
    let gone = std::fs::symlink_metadata(layer.join("folder/gone")).expect("there");
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert!(!layer.join("opaque/.wh..wh..opq").exists());
}

#[test]
fn links_modes_and_times_are_kept() {
    if !is_root() {
        return;
    }
    let store = Store::new();
    let mut program = file("bin/program", b"x");
    program.mode = 0o4755;
    let layout = Layout::new().entries(&[
        program,
        entry(EntryType::Link, "bin/other", "bin/program", b""),
        entry(EntryType::Symlink, "sh", "/bin/program", b""),
        entry(EntryType::Fifo, "pipe", "", b""),
    ]);
    let image = store.import(layout.finish()).expect("imported");
    let layer = &store.images.lower_dirs(&image)[0];
    let program = std::fs::metadata(layer.join("bin/program")).expect("there");
    assert_eq!(program.permissions().mode() & 0o7777, 0o4755);
    assert_eq!((program.nlink(), program.mtime()), (2, 1_000_000));
    assert_eq!(
        std::fs::read_link(layer.join("sh")).expect("a link"),
        std::path::Path::new("/bin/program")
    );
    assert!(
        std::fs::symlink_metadata(layer.join("pipe"))
            .expect("there")
            .file_type()
            .is_fifo()
    );
}

#[test]
fn a_removed_image_takes_along_only_what_nothing_else_uses() {
    if !is_root() {
        return;
    }
    let store = Store::new();
    let shared = [file("shared", b"1")];
    let one = Layout::new().entries(&shared).entries(&[file("one", b"1")]);
    let other = Layout::new()
        .entries(&shared)
        .entries(&[file("other", b"1")]);
    let import = |layout: &Layout, name| {
        store
            .images
            .import(layout.finish(), Some(name), &mut |_| {})
            .expect("imported");
    };
    import(&one, "one:v1");
    import(&one, "one:v2");
    import(&other, "other");
    assert_eq!(
        (
            store.images.list().expect("readable").len(),
            store.names("layers").len()
        ),
        (2, 3)
    );
    store.images.remove("one:v1").expect("removed");
    assert!(
        store.images.get("one:v2").expect("readable").is_some(),
        "it has another name"
    );
    store.images.remove("one:v2").expect("removed");
    assert_eq!(store.names("layers").len(), 2);
    store.images.remove("other").expect("removed");
    assert!(store.names("layers").is_empty() && store.names("blobs/sha256").is_empty());
    assert!(store.images.remove("other").is_err());
}

#[test]
fn a_name_moves_to_the_newer_image_and_the_older_stays_under_its_id() {
    if !is_root() {
        return;
    }
    let store = Store::new();
    let old = store
        .import(Layout::new().entries(&[file("a", b"1")]).finish())
        .expect("imported");
    let new = store
        .import(Layout::new().entries(&[file("a", b"2")]).finish())
        .expect("imported");
    let named = store.images.get("test").expect("readable").expect("there");
    assert_eq!(named.id, new.id);
    let by_id = store.images.get(&old.id).expect("readable").expect("there");
    assert!(by_id.names.is_empty());
    assert_eq!(
        store
            .images
            .get(&old.id["sha256:".len()..][..12])
            .expect("readable"),
        Some(by_id)
    );
}

#[test]
fn what_a_crash_left_is_swept_away_and_the_rest_stays() {
    if !is_root() {
        return;
    }
    let store = Store::new();
    store
        .import(Layout::new().entries(&[file("a", b"1")]).finish())
        .expect("imported");
    std::fs::create_dir_all(store.folder.path().join("tmp/layer/half")).expect("made");
    std::fs::write(store.folder.path().join("tmp/blob"), b"half").expect("written");
    let again = Images::open(store.folder.path()).expect("opens");
    assert_eq!(again.list().expect("readable").len(), 1);
    store
        .import(Layout::new().entries(&[file("a", b"2")]).finish())
        .expect("imported");
    assert!(store.names("tmp").is_empty());
}
