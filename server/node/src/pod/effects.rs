//! What all pod workers share, and what the effects of one worker share.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use parking_lot::Mutex;

use crate::api_server::ApiServer;
use crate::clock::Clock;
use crate::env::resource::Allocatable;
use crate::events::Events;
use crate::image;
use crate::objects::Objects;
use crate::paths::Paths;
use crate::runtime::{self, Runtime};
use crate::volume::token::Tokens;
use crate::volume::{Made, Maker};

/// The images of this machine, as far as pods care.
pub(crate) trait ImageSource: Send + Sync + 'static {
    /// The image that a reference names.
    ///
    /// # Errors
    /// What is wrong with the reference or with the store.
    fn find(&self, reference: &str) -> Result<Option<image::Image>, String>;

    /// All images.
    fn all(&self) -> Vec<image::Image>;
}

impl ImageSource for image::Images {
    fn find(&self, reference: &str) -> Result<Option<image::Image>, String> {
        self.get(reference).map_err(|error| error.to_string())
    }

    fn all(&self) -> Vec<image::Image> {
        self.list().unwrap_or_else(|error| {
            tracing::warn!(%error, "images not listed");
            Vec::new()
        })
    }
}

/// What all pod workers of a node share.
pub(crate) struct Shared {
    pub(crate) client: kube::Client,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) images: Arc<dyn ImageSource>,
    pub(crate) objects: Arc<Objects>,
    pub(crate) tokens: Tokens,
    pub(crate) paths: Paths,
    pub(crate) events: Events,
    pub(crate) clock: Clock,
    /// The node's address.
    pub(crate) address: IpAddr,
    pub(crate) allocatable: Allocatable,
    /// The node's memory in bytes.
    pub(crate) memory: i64,
    /// Where containers find the API server.
    pub(crate) api_server: Option<ApiServer>,
}

/// What the effects of one worker share.
pub(crate) struct Context {
    pub(crate) shared: Arc<Shared>,
    /// The pod as it was last seen.
    pub(crate) pod: Mutex<Arc<Pod>>,
    /// The pod in the runtime, while there is one.
    pub(crate) sandbox: Mutex<Option<Arc<dyn runtime::Pod>>>,
    /// The volumes, once they are made.
    pub(crate) volumes: Mutex<Made>,
}

impl Context {
    /// The pod as it was last seen.
    pub(crate) fn pod(&self) -> Arc<Pod> {
        self.pod.lock().clone()
    }

    /// The pod in the runtime.
    pub(crate) fn sandbox(&self) -> Option<Arc<dyn runtime::Pod>> {
        self.sandbox.lock().clone()
    }

    /// The pod's addresses; the node's with the host's network.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        match self.sandbox() {
            None => Vec::new(),
            Some(_) if super::spec::host_network(&self.pod()) => vec![self.shared.address],
            Some(sandbox) => sandbox.addresses(),
        }
    }

    /// What makes the volumes of `pod`.
    pub(crate) fn maker<'a>(&'a self, pod: &'a Pod) -> Maker<'a> {
        Maker {
            pod,
            paths: &self.shared.paths,
            objects: &self.shared.objects,
            tokens: &self.shared.tokens,
            allocatable: self.shared.allocatable,
        }
    }
}

/// The log file of one run of a container below the pod's folder of logs.
pub(crate) fn log_file(pod_logs: &Path, container: &str, attempt: u32) -> std::path::PathBuf {
    pod_logs.join(container).join(format!("{attempt}.log"))
}
