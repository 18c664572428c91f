//! The images of the tests: the demo's web server, and a box of shell tools.

use std::path::{Path, PathBuf};
use std::process::Command;

use demo::image::{Entry, Image};

use crate::cluster::Cluster;
use crate::programs;

/// The name of the web server's image.
pub const WEB: &str = "demo-web:1.0";
/// The name of the image with a shell and the usual small tools.
pub const BOX: &str = "test-box:1.0";

const BUSYBOX: &str = "/bin/busybox";

/// Imports the web server's image into a cluster's node.
pub fn import_web(cluster: &Cluster) {
    let image = Image {
        name: WEB.to_owned(),
        entries: vec![
            Entry::File("web".to_owned(), 0o755, programs::web()),
            Entry::Directory("tmp".to_owned(), 0o1777),
        ],
        entrypoint: vec!["/web".to_owned()],
        command: vec!["serve".to_owned()],
        env: vec!["PATH=/".to_owned()],
        ..Image::default()
    };
    import(cluster, &image);
}

/// Whether the image with the shell can be made: it needs a static busybox.
pub fn box_or_skip(test: &str) -> bool {
    if Path::new(BUSYBOX).exists() {
        return true;
    }
    crate::skip(test, "needs /bin/busybox of the package busybox-static");
    false
}

/// Imports the image with the shell into a cluster's node.
pub fn import_box(cluster: &Cluster) {
    import(cluster, &shell_box());
}

/// Imports the image with the shell under another name, with a user of its own.
pub fn import_box_of(cluster: &Cluster, name: &str, user: &str) {
    let image = Image {
        name: name.to_owned(),
        user: user.to_owned(),
        ..shell_box()
    };
    import(cluster, &image);
}

/// Packs the image with the shell, for a node that is not the cluster's own; gives the layout's path.
pub fn pack_box(cluster: &Cluster) -> String {
    let layout = pack(cluster, &shell_box());
    layout.to_string_lossy().into_owned()
}

fn shell_box() -> Image {
    let tools = Command::new(BUSYBOX)
        .arg("--list")
        .output()
        .expect("busybox runs");
    let tools = String::from_utf8(tools.stdout).expect("busybox lists names");
    let mut entries = vec![
        Entry::Directory("bin".to_owned(), 0o755),
        Entry::File("bin/busybox".to_owned(), 0o755, BUSYBOX.into()),
        Entry::Directory("etc".to_owned(), 0o755),
        Entry::Text(
            "etc/passwd".to_owned(),
            0o644,
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n".to_owned(),
        ),
        Entry::Text(
            "etc/group".to_owned(),
            0o644,
            "root:x:0:\nnobody:x:65534:\nlogs:x:200:nobody\n".to_owned(),
        ),
        Entry::Directory("root".to_owned(), 0o700),
        Entry::Directory("tmp".to_owned(), 0o1777),
    ];
    for tool in tools.lines().filter(|&tool| tool != "busybox") {
        entries.push(Entry::Link(format!("bin/{tool}"), "busybox".to_owned()));
    }
    Image {
        name: BOX.to_owned(),
        entries,
        command: vec!["sh".to_owned()],
        env: vec!["PATH=/bin".to_owned()],
        ..Image::default()
    }
}

/// Packs an image and imports it with `ctld images import`.
pub fn import(cluster: &Cluster, image: &Image) {
    let layout = pack(cluster, image);
    let output = programs::ctld()
        .args(["images", "import"])
        .arg(&layout)
        .arg("--data-dir")
        .arg(cluster.data_dir())
        .output()
        .expect("ctld runs");
    assert!(
        output.status.success(),
        "the import failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Writes an image's layout into the scratch directory.
fn pack(cluster: &Cluster, image: &Image) -> PathBuf {
    let name = image.name.replace([':', '/'], "-");
    let layout = cluster.scratch().join(format!("image-{name}"));
    image.pack(&layout).expect("the image can be packed");
    layout
}
