//! The generator: many workers over few HTTP/2 connections, and their latencies.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::side::Side;

/// What a load did to the server.
pub(crate) struct Load {
    /// Operations a second.
    pub(crate) rate: f64,
    /// Microseconds of CPU of the server's processes, an operation.
    pub(crate) cpu: f64,
    /// The median latency in milliseconds.
    pub(crate) p50: f64,
    /// 99 of 100 were at most this many milliseconds.
    pub(crate) p99: f64,
}

/// Runs a future to its end.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime can be built").block_on(future)
}

/// How many times more is done for a profile, to have something to sample.
const PROFILED: usize = 10;

/// Drives a load that is measured. With `--profile`, ten times as much of it is done, under `perf`.
pub(crate) async fn measure<F>(
    side: &Side,
    what: &str,
    count: usize,
    workers: usize,
    operation: impl Fn(usize) -> F + Send + Sync + 'static,
) -> Load
where
    F: Future<Output = ()> + Send,
{
    let Some(recorder) = side.record(what) else {
        return drive(side, count, workers, operation).await;
    };
    let load = drive(side, count * PROFILED, workers, operation).await;
    recorder.finish();
    load
}

/// Does `count` operations with `workers` at once; `operation` gets the number of each.
pub(crate) async fn drive<F>(
    side: &Side,
    count: usize,
    workers: usize,
    operation: impl Fn(usize) -> F + Send + Sync + 'static,
) -> Load
where
    F: Future<Output = ()> + Send,
{
    let operation = Arc::new(operation);
    let next = Arc::new(AtomicUsize::new(0));
    let latencies = Arc::new(Mutex::new(Vec::with_capacity(count)));
    let cpu = side.cpu_seconds();
    let begin = Instant::now();
    let tasks: Vec<_> = (0..workers)
        .map(|_| {
            let (operation, next, latencies) = (
                Arc::clone(&operation),
                Arc::clone(&next),
                Arc::clone(&latencies),
            );
            tokio::spawn(async move {
                let mut own = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    let begin = Instant::now();
                    operation(number).await;
                    own.push(begin.elapsed());
                }
                latencies.lock().expect("no worker panicked").extend(own);
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no worker panicked");
    }
    let seconds = begin.elapsed().as_secs_f64();
    let mut latencies = latencies.lock().expect("no worker panicked").clone();
    Load {
        rate: count as f64 / seconds,
        cpu: (side.cpu_seconds() - cpu) * 1e6 / count as f64,
        p50: percentile(&mut latencies, 50),
        p99: percentile(&mut latencies, 99),
    }
}

/// A percentile in milliseconds.
pub(crate) fn percentile(latencies: &mut [Duration], percent: usize) -> f64 {
    latencies.sort_unstable();
    let last = latencies.len().saturating_sub(1);
    let index = (latencies.len() * percent / 100).min(last);
    latencies
        .get(index)
        .map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
}

/// A ConfigMap of about 1 KiB.
pub(crate) fn config_map(number: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": format!("load-{number:06}"), "labels": {"app": "load"}},
        "data": {"payload": "x".repeat(1024)},
    })
}

/// A number that stands for others.
const MARK: usize = 999_999;

/// The operation that creates ConfigMaps in the default namespace.
pub(crate) fn creating(
    side: &Side,
) -> impl Fn(usize) -> BoxFuture<'static, ()> + Send + Sync + 'static {
    let api = side.api.clone();
    // All but the number, as a text: to build a value each time would cost as much as the server does.
    let text = config_map(MARK).to_string();
    move |number| {
        let api = api.clone();
        let body = text.replace(&format!("{MARK:06}"), &format!("{number:06}"));
        Box::pin(async move {
            api.create("/api/v1/namespaces/default/configmaps", body)
                .await;
        })
    }
}
