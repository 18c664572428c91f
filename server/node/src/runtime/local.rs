//! The runtime of this machine: starts a shim per pod, and finds those that are there.

use std::collections::HashMap;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use parking_lot::{Mutex, RwLock};

use super::local_pod::LocalPod;
use super::{Error, Pod, PodSandbox, Runtime, teardown};
use crate::image::Images;
use crate::network::{ApiService, Network};
use crate::shim::protocol::{self, SETUP, Setup};
use crate::shim::{READY, pod_folder};

/// What the runtime is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// What lasts until the machine stops; several clusters differ in it.
    pub run_dir: PathBuf,
    /// What lasts: images and writable layers.
    pub data_dir: PathBuf,
    /// The pods' addresses on this node, e.g. `10.244.0.0/24`.
    pub pod_cidr: String,
    /// What stands for the API server in the pods' networks, if anything does.
    pub api_service: Option<ApiService>,
    /// The node's own address, which pods with the host's network have.
    pub node_address: IpAddr,
    /// The program that is executed as `<program> shim --state DIR`; this one unless given.
    pub program: Option<PathBuf>,
}

/// The runtime of this machine.
pub struct Local {
    shared: Arc<Shared>,
}

/// What the runtime and its pods have in common.
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) images: Images,
    pub(super) network: Network,
    /// Where the program is mounted read-only.
    program: PathBuf,
    pods: Mutex<HashMap<String, Arc<LocalPod>>>,
    /// Set when the runtime was taken down. Pods are made under a reader's lock.
    closed: RwLock<bool>,
}

impl Local {
    /// Makes or takes over the cluster's network; starts nothing. Blocks for some milliseconds.
    pub fn open(options: Options) -> Result<Self, Error> {
        let make = |path: &Path| {
            std::fs::create_dir_all(path).map_err(Error::io(format!("make {}", path.display())))
        };
        make(&options.run_dir.join("pods"))?;
        make(&options.data_dir.join("containers"))?;
        let images = Images::open(options.data_dir.join("images"))?;
        let network = Network::open(
            &options.run_dir,
            &options.pod_cidr,
            options.api_service.as_ref(),
        )
        .map_err(|error| Error::Network(error.to_string()))?;
        let program = match &options.program {
            Some(program) => program.clone(),
            None => std::env::current_exe().map_err(Error::io("find this program"))?,
        };
        let program = mount_program(&program, &options.run_dir)?;
        let shared = Shared {
            options,
            images,
            network,
            program,
            pods: Mutex::new(HashMap::new()),
            closed: RwLock::new(false),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The images that containers are made from.
    pub fn images(&self) -> &Images {
        &self.shared.images
    }

    /// Takes down what was made for pods, if there is none: mounts, network, control groups. Idempotent; blocks.
    ///
    /// Otherwise everything stays as it is: the pods go on, and the next runtime takes them over. After this no pod is
    /// made any more.
    pub fn close(&self) -> Result<(), Error> {
        self.shared.close()
    }
}

/// Mounts the program read-only under the run directory, and gives the path there.
///
/// Shims and what is forked from them are executed from this mount, so a container that gets hold of
/// `/proc/<pid>/exe` can't write to the program through it (CVE-2019-5736). A program that is replaced
/// on disk goes on running as it was.
fn mount_program(program: &Path, run_dir: &Path) -> Result<PathBuf, Error> {
    let path = run_dir.join("program");
    let failed = |errno: nix::Error| Error::io(format!("mount {}", path.display()))(errno.into());
    // From a run before this one.
    while umount2(&path, MntFlags::MNT_DETACH).is_ok() {}
    std::fs::write(&path, "").map_err(Error::io(format!("make {}", path.display())))?;
    let none = None::<&str>;
    mount(Some(program), &path, none, MsFlags::MS_BIND, none).map_err(failed)?;
    let read_only =
        MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | MsFlags::MS_NOSUID;
    mount(none, &path, none, read_only, none).map_err(failed)?;
    Ok(path)
}

#[async_trait]
impl Runtime for Local {
    async fn create_pod(&self, sandbox: PodSandbox) -> Result<Arc<dyn Pod>, Error> {
        if !is_file_name(&sandbox.uid) {
            return Err(Error::InvalidSpec(format!("invalid uid {:?}", sandbox.uid)));
        }
        let existing = self.shared.pods.lock().get(&sandbox.uid).cloned();
        if let Some(pod) = existing {
            if !pod.state().borrow().lost {
                return Ok(pod);
            }
            pod.remove().await?;
        }
        let shared = Arc::clone(&self.shared);
        let setup = blocking(move || shared.make(sandbox)).await?;
        Ok(self.shared.adopt(setup))
    }

    async fn recover(&self) -> Result<Vec<Arc<dyn Pod>>, Error> {
        let shared = Arc::clone(&self.shared);
        let setups = blocking(move || shared.find()).await?;
        let mut pods: Vec<Arc<dyn Pod>> = Vec::new();
        for setup in setups {
            let known = self.shared.pods.lock().get(&setup.sandbox.uid).cloned();
            let pod = known.unwrap_or_else(|| self.shared.adopt(setup));
            pod.settled().await;
            pods.push(pod);
        }
        Ok(pods)
    }
}

impl Shared {
    /// Watches a pod whose shim was started, now or earlier.
    fn adopt(self: &Arc<Self>, setup: Setup) -> Arc<LocalPod> {
        let uid = setup.sandbox.uid.clone();
        let pod = Arc::new(LocalPod::new(Arc::clone(self), setup));
        self.pods.lock().insert(uid, Arc::clone(&pod));
        pod
    }

    pub(super) fn forget(&self, uid: &str) {
        self.pods.lock().remove(uid);
    }

    fn close(&self) -> Result<(), Error> {
        let mut closed = self.closed.write();
        *closed = true;
        let pods = self.options.run_dir.join("pods");
        let none = match std::fs::read_dir(pods) {
            Ok(mut pods) => pods.next().is_none(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
            Err(error) => return Err(Error::io("list the pods")(error)),
        };
        if none {
            teardown(&self.options.run_dir)?;
        }
        Ok(())
    }

    /// Makes a pod up to the point where its shim says that it is ready.
    fn make(&self, sandbox: PodSandbox) -> Result<Setup, Error> {
        let closed = self.closed.read();
        if *closed {
            return Err(Error::Closed);
        }
        let folder = pod_folder(&self.options.run_dir, &sandbox.uid);
        if folder.exists() {
            // Nobody knows of it any more: what a crash left.
            teardown::pod(&folder)?;
        }
        let attachment = match sandbox.host_network {
            true => None,
            false => Some(
                self.network
                    .allocate(&sandbox.uid)
                    .map_err(|error| Error::Network(error.to_string()))?,
            ),
        };
        let setup = Setup {
            attachment,
            cgroup: teardown::cgroup_root(&self.options.run_dir)
                .join(format!("pod{}", sandbox.uid)),
            writable: self.options.data_dir.join("containers"),
            sandbox,
        };
        let started = self.start_shim(&folder, &setup);
        if started.is_err() {
            // The first error is the one to report.
            let _ = teardown::pod(&folder);
            self.release(&setup)?;
        }
        started.map(|()| setup)
    }

    fn start_shim(&self, folder: &Path, setup: &Setup) -> Result<(), Error> {
        let io = |what: &'static str| move |error: std::io::Error| Error::io(what)(error);
        std::fs::create_dir_all(folder).map_err(io("make the pod's folder"))?;
        std::fs::create_dir_all(folder.join("containers")).map_err(io("make the pod's folder"))?;
        let bytes = serde_json::to_vec(setup).map_err(|error| io("write setup")(error.into()))?;
        std::fs::write(folder.join(SETUP), bytes).map_err(io("write setup"))?;
        let log = std::fs::File::create(folder.join("shim.log")).map_err(io("make shim.log"))?;
        let mut shim = Command::new(&self.program)
            .arg("shim")
            .arg("--state")
            .arg(folder)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(io("start the shim"))?;
        let mut said = String::new();
        if let Some(mut stdout) = shim.stdout.take() {
            stdout
                .read_to_string(&mut said)
                .map_err(io("wait for the shim"))?;
        }
        shim.wait().map_err(io("wait for the shim"))?;
        if said == READY {
            return Ok(());
        }
        if said.is_empty() {
            said = std::fs::read_to_string(folder.join("shim.log")).unwrap_or_default();
        }
        Err(Error::Shim {
            uid: setup.sandbox.uid.clone(),
            reason: said.trim().to_owned(),
        })
    }

    /// Gives back what a pod has of the network.
    pub(super) fn release(&self, setup: &Setup) -> Result<(), Error> {
        match &setup.attachment {
            Some(attachment) => self
                .network
                .release(&setup.sandbox.uid, attachment)
                .map_err(|error| Error::Network(error.to_string())),
            None => Ok(()),
        }
    }

    /// The pods that have a folder. A folder without a readable setup is what a crash left, and is removed.
    fn find(&self) -> Result<Vec<Setup>, Error> {
        let pods = self.options.run_dir.join("pods");
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&pods).map_err(Error::io("list the pods"))? {
            let folder = entry.map_err(Error::io("list the pods"))?.path();
            let setup = std::fs::read(folder.join(protocol::SETUP)).ok();
            match setup.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
                Some(setup) => found.push(setup),
                None => teardown::pod(&folder)?,
            }
        }
        Ok(found)
    }
}

/// Whether a uid can name a folder and a control group.
fn is_file_name(uid: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !uid.is_empty() && uid.len() <= 100 && !uid.starts_with('.') && uid.bytes().all(known)
}

/// Runs what blocks, off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(Error::io("run a blocking task")(std::io::Error::other(
            error,
        ))),
    }
}
