//! What all requests share.

use std::sync::Arc;
use std::time::Duration;

use store::Store;
use tokio::sync::watch;

use crate::admission::Admission;
use crate::auth::service_account::Tokens;
use crate::auth::{Authenticator, Authorizer};
use crate::cache::Cache;
use crate::metrics::Metrics;
use crate::node::Nodes;

/// The server's parts.
pub(crate) struct App {
    /// Where objects are.
    pub(crate) store: Arc<dyn Store>,
    /// Where they are read.
    pub(crate) cache: Arc<Cache>,
    /// Finds out who asks.
    pub(crate) authenticator: Authenticator,
    /// Decides who may do what.
    pub(crate) authorizer: Authorizer,
    /// Makes tokens of service accounts.
    pub(crate) tokens: Arc<Tokens>,
    /// Changes and refuses objects.
    pub(crate) admission: Admission,
    /// Counts.
    pub(crate) metrics: Metrics,
    /// Talks to kubelets.
    pub(crate) nodes: Nodes,
    /// How long a watch lasts that does not say.
    pub(crate) watch_timeout: Duration,
    /// Turns true when the server is ending.
    pub(crate) stopping: watch::Receiver<bool>,
    /// Whether what must exist does.
    pub(crate) ready: watch::Receiver<bool>,
}
