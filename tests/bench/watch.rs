//! 1,000 watchers of one namespace: how late events arrive at a fixed rate, and how many are delivered
//! when objects are created as fast as they can be.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use reqwest::Method;
use tests::http::Api;
use tokio::task::JoinHandle;

use crate::load::{self, config_map};
use crate::report::Report;
use crate::side::{Side, Sides};

const WATCHERS: usize = 1_000;
const WATCHERS_A_CONNECTION: usize = 50;
/// Creates in the first part, and how many a second. With all watchers that is 20,000 events a second.
const PACED: usize = 100;
const PACE: u32 = 20;
/// Creates in the second part.
const EVENTS: usize = 300;
const DEADLINE: Duration = Duration::from_secs(90);

struct Watched {
    /// Milliseconds from the request to the event, 99 of 100.
    lag: f64,
    /// Microseconds of CPU an event at that pace.
    paced_cpu: f64,
    /// Events a second, and microseconds of CPU each, at full speed.
    rate: f64,
    cpu: f64,
}

pub(crate) fn measure(sides: &mut Sides, report: &mut Report) {
    let (ours, peer) = sides.each(|side| load::run(watched(side)));
    let of = |get: fn(&Watched) -> f64| peer.as_ref().map(get);
    let name = |what: &str| format!("watch, 1,000 watchers, {what}");
    let lag = of(|w| w.lag);
    report.add(
        name("20,000 events/s: p99 lag"),
        "ms",
        ours.lag,
        lag,
        "50 ms",
    );
    let cpu = of(|w| w.paced_cpu);
    report.add(
        name("20,000 events/s: CPU an event"),
        "µs",
        ours.paced_cpu,
        cpu,
        "5 times less",
    );
    let rate = of(|w| w.rate);
    report.add(name("full speed: events"), "/s", ours.rate, rate, "–");
    let cpu = of(|w| w.cpu);
    report.add(
        name("full speed: CPU an event"),
        "µs",
        ours.cpu,
        cpu,
        "5 times less",
    );
}

/// When each create was sent, in order: events arrive in the same order.
type Sent = Arc<Mutex<Vec<Instant>>>;

async fn watched(side: &Side) -> Watched {
    let sent = Sent::default();
    let watchers = start(side, PACED, &sent).await;
    let (cpu, mut ticks) = (
        side.cpu_seconds(),
        tokio::time::interval(Duration::from_secs(1) / PACE),
    );
    for number in 0..PACED {
        ticks.tick().await;
        sent.lock().expect("no holder panics").push(Instant::now());
        create(&side.api, number).await;
    }
    let mut lags = finish(watchers).await;
    let paced_cpu = (side.cpu_seconds() - cpu) * 1e6 / lags.len() as f64;
    let lag = load::percentile(&mut lags, 99);

    let watchers = start(side, EVENTS, &Sent::default()).await;
    let (cpu, begin) = (side.cpu_seconds(), Instant::now());
    let creating = (0..8).map(|writer| {
        let api = side.api.clone();
        tokio::spawn(async move {
            for number in (0..EVENTS).filter(|n| n % 8 == writer) {
                create(&api, PACED + number).await;
            }
        })
    });
    for writer in creating.collect::<Vec<_>>() {
        writer.await.expect("no writer panicked");
    }
    let delivered = finish(watchers).await.len() as f64;
    Watched {
        lag,
        paced_cpu,
        rate: delivered / begin.elapsed().as_secs_f64(),
        cpu: (side.cpu_seconds() - cpu) * 1e6 / delivered,
    }
}

async fn create(api: &Api, number: usize) {
    let path = "/api/v1/namespaces/default/configmaps";
    api.post(path, &config_map(number)).await.expect(201);
}

/// Starts the watches; each ends after `events` of them and gives how late they were.
async fn start(side: &Side, events: usize, sent: &Sent) -> Vec<JoinHandle<Vec<Duration>>> {
    let maps = "/api/v1/namespaces/default/configmaps?labelSelector=app%3Dload";
    let list = side.api.get(&format!("{maps}&limit=1")).await.expect(200);
    let from = list["metadata"]["resourceVersion"].as_str();
    let from = from.expect("a list has a version").to_owned();
    let mut watchers = Vec::with_capacity(WATCHERS);
    let mut api = side.connect();
    for number in 0..WATCHERS {
        if number % WATCHERS_A_CONNECTION == 0 {
            api = side.connect();
        }
        let path = format!("{maps}&watch=true&resourceVersion={from}");
        let response = api.request(Method::GET, &path).send().await;
        let mut body = response.expect("the watch starts").bytes_stream();
        let sent = Arc::clone(sent);
        watchers.push(tokio::spawn(async move {
            let mut lags = Vec::with_capacity(events);
            while lags.len() < events {
                let Some(Ok(chunk)) = body.next().await else {
                    break;
                };
                let now = Instant::now();
                let lines = chunk.iter().filter(|&&byte| byte == b'\n').count();
                let sent = sent.lock().expect("no holder panics");
                for _ in 0..lines {
                    let begin = sent.get(lags.len()).copied().unwrap_or(now);
                    lags.push(now - begin);
                }
            }
            lags
        }));
    }
    watchers
}

async fn finish(watchers: Vec<JoinHandle<Vec<Duration>>>) -> Vec<Duration> {
    let all = futures::future::try_join_all(watchers);
    let all = tokio::time::timeout(DEADLINE, all).await;
    let all = all
        .expect("all events arrive in time")
        .expect("no watcher panicked");
    all.into_iter().flatten().collect()
}
