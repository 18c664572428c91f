//! 1,000 watchers of one namespace while objects are created: events a second and CPU an event.

use std::time::Instant;

use futures::StreamExt;
use reqwest::Method;

use crate::load;
use crate::report::Report;
use crate::side::{Side, Sides};

const WATCHERS: usize = 1_000;
const EVENTS: usize = 200;

struct Watched {
    rate: f64,
    cpu: f64,
}

pub(crate) fn measure(sides: &mut Sides, report: &mut Report) {
    let (ours, peer) = sides.each(|side| load::run(watched(side)));
    let of = |get: fn(&Watched) -> f64| peer.as_ref().map(get);
    report.add(
        "watch, 1,000 watchers: events",
        "/s",
        ours.rate,
        of(|w| w.rate),
        "–",
    );
    report.add(
        "watch, 1,000 watchers: CPU an event",
        "µs",
        ours.cpu,
        of(|w| w.cpu),
        "peer ÷ 5",
    );
}

async fn watched(side: &Side) -> Watched {
    let mut tasks = Vec::with_capacity(WATCHERS);
    for _ in 0..WATCHERS {
        let path = "/api/v1/namespaces/default/configmaps?watch=true&labelSelector=app%3Dload";
        let response = side.api.request(Method::GET, path).send().await;
        let mut body = response.expect("the watch starts").bytes_stream();
        tasks.push(tokio::spawn(async move {
            let mut lines = 0;
            while lines < EVENTS {
                let Some(Ok(chunk)) = body.next().await else {
                    break;
                };
                lines += chunk.iter().filter(|&&byte| byte == b'\n').count();
            }
            lines
        }));
    }
    let (cpu, begin) = (side.cpu_seconds(), Instant::now());
    load::create(side, EVENTS, 8).await;
    let mut delivered = 0;
    for task in tasks {
        delivered += task.await.expect("no watcher panicked");
    }
    assert!(
        delivered >= WATCHERS * EVENTS,
        "every watcher sees every event"
    );
    Watched {
        rate: delivered as f64 / begin.elapsed().as_secs_f64(),
        cpu: (side.cpu_seconds() - cpu) * 1e6 / delivered as f64,
    }
}
