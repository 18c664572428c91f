//! A runtime of its own for each test, an image with a static program, and a check that nothing is left.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use node::image::Images;
use node::network::ApiService;
use node::runtime::{
    Container, ContainerSpec, Exit, Local, Options, Phase, Pod, PodSandbox, Runtime, teardown,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The name of the image that all tests use.
pub(crate) const IMAGE: &str = "box:test";
/// The program in it.
pub(crate) const PROGRAM: &str = "/bin/program";

/// A node of its own.
pub(crate) struct Machine {
    pub(crate) runtime: Local,
    pub(crate) folder: TempDir,
    pub(crate) options: Options,
    pods: AtomicU32,
}

impl Machine {
    /// `None`, and a word about it, where this machine can't run containers.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(None)
    }

    /// With a way for pods to an API server.
    pub(crate) fn start_with(api_service: Option<ApiService>) -> Option<Self> {
        let root = nix::unistd::geteuid().is_root();
        let groups = Path::new("/sys/fs/cgroup")
            .read_dir()
            .is_ok_and(|mut dir| dir.next().is_some());
        if !root || !groups {
            eprintln!("skipped: containers need root and control groups");
            return None;
        }
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = TempDir::with_prefix("node-test-").expect("temporary folder");
        let options = Options {
            run_dir: folder.path().join("run"),
            data_dir: folder.path().join("data"),
            // Other runs of these tests may be at work at the same time.
            pod_cidr: format!("10.{}.{}.0/24", 130 + std::process::id() % 100, number),
            api_service,
            node_address: IpAddr::from([127, 0, 0, 1]),
            program: Some(env!("CARGO_BIN_EXE_node-shim").into()),
        };
        import(&options.data_dir.join("images"));
        let runtime = Local::open(options.clone()).expect("the runtime opens");
        Some(Self {
            runtime,
            folder,
            options,
            pods: AtomicU32::new(0),
        })
    }

    /// A sandbox with a name of its own.
    pub(crate) fn sandbox(&self) -> PodSandbox {
        let number = self.pods.fetch_add(1, Ordering::Relaxed);
        PodSandbox {
            uid: format!("uid-{number}"),
            name: format!("pod-{number}"),
            namespace: "default".to_owned(),
            hostname: format!("pod-{number}"),
            kernel_hostname: format!("pod-{number}"),
            ..PodSandbox::default()
        }
    }

    pub(crate) async fn pod(&self) -> Arc<dyn Pod> {
        self.pod_from(self.sandbox()).await
    }

    pub(crate) async fn pod_from(&self, sandbox: PodSandbox) -> Arc<dyn Pod> {
        self.runtime
            .create_pod(sandbox)
            .await
            .expect("the pod is made")
    }

    /// A container of the test image that runs the program with these words.
    pub(crate) fn spec(&self, name: &str, words: &[&str]) -> ContainerSpec {
        ContainerSpec {
            name: name.to_owned(),
            image: IMAGE.to_owned(),
            command: vec![PROGRAM.to_owned()],
            args: words.iter().map(|&word| word.to_owned()).collect(),
            log_path: self.folder.path().join("logs").join(name).join("0.log"),
            ..ContainerSpec::default()
        }
    }

    /// Runs a container to its end; gives what it wrote, both streams in the order of the log, and how it ended.
    pub(crate) async fn run(&self, pod: &Arc<dyn Pod>, spec: ContainerSpec) -> (String, Exit) {
        let log = spec.log_path.clone();
        let id = pod
            .start_container(spec)
            .await
            .expect("the container starts");
        let exit = exited(pod, &id).await;
        (text(&log), exit)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let outcome = teardown(&self.options.run_dir);
        if std::thread::panicking() {
            return;
        }
        outcome.expect("the node is torn down");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        let folder = self.folder.path().to_string_lossy();
        assert!(!mounts.contains(&*folder), "a mount is left");
        let bridge = node::network::bridge_name(&self.options.run_dir);
        assert!(
            !Path::new("/sys/class/net").join(&bridge).exists(),
            "the bridge is left"
        );
        let group = format!("ctld-{}", bridge.trim_start_matches("ctl-"));
        for tree in std::fs::read_dir("/sys/fs/cgroup")
            .expect("trees")
            .flatten()
        {
            assert!(
                !tree.path().join(&group).exists(),
                "a control group is left in {tree:?}"
            );
        }
    }
}

/// Waits for something about a container.
pub(crate) async fn until<T>(
    pod: &Arc<dyn Pod>,
    id: &str,
    condition: impl Fn(Option<&Container>) -> Option<T>,
) -> T {
    let mut state = pod.state();
    let wait = async {
        loop {
            if let Some(value) = condition(state.borrow_and_update().get(id)) {
                return value;
            }
            state.changed().await.expect("the pod is there");
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("in time")
}

/// Waits until a container has ended.
pub(crate) async fn exited(pod: &Arc<dyn Pod>, id: &str) -> Exit {
    until(pod, id, |container| match &container?.phase {
        Phase::Exited(exit) => Some(exit.clone()),
        _ => None,
    })
    .await
}

/// Waits until a log holds a text.
pub(crate) async fn logged(path: &Path, wanted: &str) {
    let wait = async {
        while !std::fs::read_to_string(path)
            .unwrap_or_default()
            .contains(wanted)
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("in time");
}

/// A log without times, streams and tags.
pub(crate) fn text(path: &Path) -> String {
    let log = std::fs::read_to_string(path).expect("a log");
    let line = |line: &str| line.splitn(4, ' ').nth(3).unwrap_or_default().to_owned() + "\n";
    log.lines().map(line).collect()
}

/// Compiles the program once.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/helpers/program.rs");
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("program-{}", std::process::id()));
        let output = Command::new("rustc")
            .args([
                "--edition",
                "2024",
                "-O",
                "-C",
                "target-feature=+crt-static",
                "-C",
                "strip=symbols",
            ])
            .args(["-o".as_ref(), path.as_os_str(), source.as_ref()])
            .output()
            .expect("rustc runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        path
    })
}

/// Imports an image with the program, a few files and a user.
fn import(store: &Path) {
    let bytes = std::fs::read(program()).expect("compiled");
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |path: &str, mode: u32, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, path, bytes).expect("added");
    };
    add("bin/program", 0o755, &bytes);
    add("bin/not-executable", 0o644, b"text");
    add("data/seed", 0o644, b"from the image");
    add(
        "etc/passwd",
        0o644,
        b"root:x:0:0::/root:/bin/sh\nweb:x:101:102::/srv:/bin/sh\n",
    );
    add(
        "etc/group",
        0o644,
        b"root:x:0:\nweb:x:102:\nlogs:x:200:web\n",
    );
    let layer = tar.into_inner().expect("finished");
    let layout = TempDir::new().expect("temporary folder");
    let blobs = layout.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs).expect("made");
    let store_blob = |bytes: &[u8]| {
        let hex: String = Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        std::fs::write(blobs.join(&hex), bytes).expect("written");
        (format!("sha256:{hex}"), bytes.len())
    };
    let (layer, layer_size) = store_blob(&layer);
    let config = json!({
        "architecture": if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" },
        "os": "linux",
        "config": { "Env": ["FROM_IMAGE=yes"], "Cmd": [PROGRAM, "echo", "default"], "StopSignal": "SIGQUIT", "Volumes": { "/data": {}, "fresh/": {} } },
        "rootfs": { "type": "layers", "diff_ids": [layer] },
    });
    let (config, config_size) = store_blob(config.to_string().as_bytes());
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": config_size },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": layer_size }],
    });
    let (manifest, manifest_size) = store_blob(manifest.to_string().as_bytes());
    let index = json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": manifest, "size": manifest_size,
        }],
    });
    std::fs::write(layout.path().join("index.json"), index.to_string()).expect("written");
    let images = Images::open(store).expect("opens");
    images
        .import(layout.path(), Some(IMAGE), &mut |_| {})
        .expect("imported");
}
