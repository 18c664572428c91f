//! Forgetting: what was superseded a while ago goes, as kube-apiserver has etcd do it.
//!
//! Once in every interval the store is told to compact up to the revision that it had one interval
//! before. So lists, watches and continue tokens of the past work for at least that long, and what is
//! older is answered with 410.

use std::sync::Arc;
use std::time::Duration;

use store::{Error, Store};
use tokio::sync::watch;

use crate::server::stopped;

/// Compacts until the server stops; never, if the interval is zero.
pub(crate) async fn run(
    store: Arc<dyn Store>,
    interval: Duration,
    mut stopping: watch::Receiver<bool>,
) {
    if interval.is_zero() {
        return;
    }
    let mut seen = store.revision();
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = stopped(&mut stopping) => return,
        }
        // An idle store has nothing to forget, and is left alone.
        if seen > store.compacted() {
            match store.compact(seen).await {
                Ok(()) => tracing::debug!(revision = seen, "compacting"),
                Err(Error::Closed) => return,
                Err(error) => tracing::warn!("the store can't compact up to {seen}: {error}"),
            }
        }
        seen = store.revision();
    }
}
