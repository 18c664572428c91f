//! Measures the store on disk: durable creates by 64 writers, and opening what they wrote.
//!
//! `cargo run --release -p store --example store_bench [WRITES] [WRITERS]`

// A benchmark prints, and a panic is how it fails.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use store::redb::{Options, Redb};
use store::{Compare, Store as _, Transaction, Write};

/// About what a small ConfigMap takes.
const VALUE: usize = 1100;

fn create(n: usize) -> Transaction {
    // Keys come in no order, as names do.
    let name = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let key = Bytes::from(format!(
        "/registry/core/configmaps/default/bench-{name:016x}"
    ));
    Transaction {
        compares: vec![Compare {
            key: key.clone(),
            modified: 0,
        }],
        writes: vec![Write::Put(key, Bytes::from(vec![b'x'; VALUE]))],
        ..Transaction::default()
    }
}

/// CPU time of this process so far, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|a| a.parse::<usize>().unwrap());
    let writes = arguments.next().unwrap_or(100_000);
    let writers = arguments.next().unwrap_or(64);
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Redb::open(dir.path(), Options::default()).unwrap());

    let next = Arc::new(AtomicUsize::new(0));
    let (start, cpu_before) = (Instant::now(), cpu());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..writers {
        let (store, next) = (Arc::clone(&store), Arc::clone(&next));
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= writes {
                    return latencies;
                }
                let start = Instant::now();
                store.commit(create(n)).await.unwrap();
                latencies.push(start.elapsed());
            }
        });
    }
    let mut latencies: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    latencies.sort();
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{writes} creates, {writers} writers: {:.0}/s, {:.1} µs of CPU each, p50 {:?}, p99 {:?}",
        writes as f64 / seconds,
        (cpu() - cpu_before) * 1e6 / writes as f64,
        latencies[writes / 2],
        latencies[writes * 99 / 100],
    );
    store.close().await.unwrap();
    drop(store);

    let start = Instant::now();
    let store = Redb::open(dir.path(), Options::default()).unwrap();
    println!("open after closing: {:?}", start.elapsed());
    let start = Instant::now();
    let page = store.range(b"/registry/", None, 0, None).await.unwrap();
    println!("range of {}: {:?}", page.entries.len(), start.elapsed());
    drop(page);
    store.commit(create(writes)).await.unwrap();

    // What a crash leaves: the file as it is while the store is open.
    let crashed = tempfile::tempdir().unwrap();
    for file in ["format", "store.redb"] {
        std::fs::copy(dir.path().join(file), crashed.path().join(file)).unwrap();
    }
    let start = Instant::now();
    let store = Redb::open(crashed.path(), Options::default()).unwrap();
    println!("open after a crash: {:?}", start.elapsed());
    drop(store);
}
