//! Images that are refused. Nothing of them may be left but whole, verified blobs, and nothing outside the store.

use node::image::Error;
use serde_json::json;
use tar::EntryType;

use crate::builder::{Entry, Layout, Store, entry, file, is_root, tar};

/// Imports a layer that must be refused for its paths.
fn refused(entries: &[Entry], reason: &str) {
    if !is_root() {
        return;
    }
    let store = Store::new();
    let layout = Layout::new().entries(entries);
    match store.import(layout.finish()) {
        Err(Error::UnsafePath { reason: actual, .. }) => assert_eq!(actual, reason),
        other => panic!("{other:?}"),
    }
    assert!(store.images.list().expect("readable").is_empty());
    assert!(store.names("layers").is_empty() && store.names("tmp").is_empty());
}

#[test]
fn a_path_that_climbs_is_refused() {
    refused(&[file("../escaped", b"x")], "the path has a `..`");
    refused(&[file("a/../../escaped", b"x")], "the path has a `..`");
}

#[test]
fn an_absolute_path_is_refused() {
    refused(&[file("/etc/escaped", b"x")], "the path is absolute");
}

#[test]
fn a_symbolic_link_out_of_the_root_is_refused() {
    refused(
        &[entry(EntryType::Symlink, "a/link", "../../etc/passwd", b"")],
        "the symbolic link points out of the image",
    );
}

#[test]
fn nothing_is_written_through_a_symbolic_link() {
    refused(
        &[
            entry(EntryType::Symlink, "link", "/tmp", b""),
            file("link/escaped", b"x"),
        ],
        "the path leads through a symbolic link",
    );
}

#[test]
fn a_hard_link_out_of_the_root_is_refused() {
    refused(
        &[entry(EntryType::Link, "link", "../../etc/passwd", b"")],
        "the path has a `..`",
    );
    refused(
        &[entry(EntryType::Link, "link", "/etc/passwd", b"")],
        "the path is absolute",
    );
}

#[test]
fn a_whiteout_can_only_hide_what_is_beside_it() {
    refused(&[file("a/.wh...", b"")], "a deletion of nothing");
    refused(&[file("a/.wh.", b"")], "a deletion of nothing");
}

#[test]
fn a_blob_with_another_content_is_refused() {
    let store = Store::new();
    let layout = Layout::new().entries(&[file("a", b"x")]);
    layout.finish();
    let layer = crate::builder::digest(&tar(&[file("a", b"x")]));
    std::fs::write(layout.blob(&layer), b"something else").expect("written");
    match store.import(layout.folder.path()) {
        Err(Error::Digest { expected, .. }) => assert_eq!(expected, layer),
        other => panic!("{other:?}"),
    }
    assert!(
        !store
            .names("blobs/sha256")
            .contains(&layer["sha256:".len()..].to_owned())
    );
}

#[test]
fn a_layer_that_is_not_the_one_of_the_configuration_is_refused() {
    if !is_root() {
        return;
    }
    let store = Store::new();
    let layout = Layout::new().layer(&tar(&[file("a", b"x")]), b"another layer", "");
    assert!(matches!(
        store.import(layout.finish()),
        Err(Error::DiffId { .. })
    ));
    assert!(store.names("layers").is_empty());
}

#[test]
fn a_missing_blob_is_named() {
    let store = Store::new();
    let layout = Layout::new().entries(&[file("a", b"x")]);
    layout.finish();
    let layer = crate::builder::digest(&tar(&[file("a", b"x")]));
    std::fs::remove_file(layout.blob(&layer)).expect("removed");
    assert!(matches!(
        store.import(layout.folder.path()),
        Err(Error::MissingBlob(_))
    ));
}

#[test]
fn an_image_for_another_machine_is_refused() {
    let store = Store::new();
    let mut layout = Layout::new();
    layout.config["architecture"] = json!("s390x");
    match store.import(layout.finish()) {
        Err(Error::Platform { found, .. }) => assert_eq!(found, "linux/s390x"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unknown_form_of_layer_is_refused() {
    let store = Store::new();
    let layout = Layout::new().layer(b"x", b"x", "+encrypted");
    assert!(matches!(
        store.import(layout.finish()),
        Err(Error::MediaType(_))
    ));
}

#[test]
fn what_is_no_image_is_refused() {
    let store = Store::new();
    let folder = tempfile::tempdir().expect("temporary folder");
    assert!(matches!(
        store.import(folder.path()),
        Err(Error::NotAnImage(_))
    ));
    for (name, bytes) in [
        ("empty", &b""[..]),
        ("text", b"not an image at all"),
        ("gzip", &[0x1f, 0x8b, 8, 0, 0]),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        assert!(store.import(&path).is_err(), "{name}");
    }
    assert!(matches!(
        store.import("/nonexistent".as_ref()),
        Err(Error::Io { .. })
    ));
}

#[test]
fn what_holds_no_image_says_so() {
    let store = Store::new();
    let folder = tempfile::tempdir().expect("temporary folder");
    for (name, text) in [
        ("index.json", r#"{"schemaVersion":2,"manifests":[]}"#),
        ("index.json", r#"{"schemaVersion":2,"manifests":null}"#),
        ("index.json", r#"{"schemaVersion":2}"#),
        ("manifest.json", "[]"),
        ("manifest.json", "null"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        let why = store.import(folder.path()).expect_err("it is empty");
        assert_eq!(why.to_string(), "there is no image in it", "{name}: {text}");
        std::fs::remove_file(path).expect("removed");
    }
}

#[test]
fn a_layer_cut_short_is_refused() {
    if !is_root() {
        return;
    }
    let store = Store::new();
    let whole = tar(&[file("a", &[7; 4096])]);
    let layout = Layout::new().layer(&whole[..1000], &whole[..1000], "");
    assert!(store.import(layout.finish()).is_err());
    assert!(store.names("layers").is_empty());
}

#[test]
fn an_archive_without_a_name_needs_one() {
    let store = Store::new();
    let layout = Layout::new();
    let outcome = store.images.import(layout.finish(), None, &mut |_| {});
    assert!(matches!(outcome, Err(Error::NoName)));
}
