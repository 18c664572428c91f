//! `/metrics`: counts, under the names that Kubernetes uses, in Prometheus' text format.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::kind::Resource;
use axum::response::Response;
use http::Method;
use parking_lot::Mutex;

use crate::app::App;
use crate::negotiate::Form;
use crate::query::Query;
use crate::respond;
use crate::routes::{self, Target};

/// The upper bounds of the durations' buckets, in seconds.
const BOUNDS: [f64; 12] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 1.0, 2.0, 5.0, 15.0, 60.0,
];

/// What a request was, as far as counts tell requests apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Labels {
    verb: &'static str,
    group: &'static str,
    version: &'static str,
    resource: &'static str,
    subresource: &'static str,
    scope: &'static str,
    dry_run: bool,
}

impl Labels {
    /// The labels of a request.
    pub(crate) fn of(method: &Method, target: &Target, query: &Query) -> Self {
        let Target::Objects(objects) = target else {
            return Self {
                verb: http_verb(method),
                group: "",
                version: "",
                resource: "",
                subresource: "",
                scope: "",
                dry_run: false,
            };
        };
        let resource = objects.kind.resource();
        let verb = routes::verb(method, objects, query);
        let scope = match (objects.name.as_str(), objects.namespace.as_str()) {
            ("", "") => "cluster",
            ("", _) => "namespace",
            _ => "resource",
        };
        Self {
            verb: verb.map_or_else(|| http_verb(method), upper),
            group: resource.group,
            version: resource.version,
            resource: resource.plural,
            subresource: resource
                .subresource(&objects.subresource)
                .map_or("", |part| part.name),
            scope,
            dry_run: query.first("dryRun").is_some(),
        }
    }
}

fn upper(verb: &str) -> &'static str {
    match verb {
        "get" => "GET",
        "list" => "LIST",
        "watch" => "WATCH",
        "create" => "POST",
        "update" => "PUT",
        "patch" => "PATCH",
        "delete" => "DELETE",
        _ => "DELETECOLLECTION",
    }
}

fn http_verb(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

#[derive(Default)]
struct Times {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

/// Requests of a sort.
#[derive(Default)]
struct Counted {
    /// How many got each code: there are few.
    codes: Vec<(u16, u64)>,
    /// How long they took, except watches.
    times: Times,
}

/// The counts.
#[derive(Default)]
pub(crate) struct Metrics {
    requests: Mutex<HashMap<Labels, Counted>>,
    watchers: Mutex<HashMap<Watched, Arc<AtomicI64>>>,
    started: Option<SystemTime>,
}

/// Group, version, kind.
type Watched = (&'static str, &'static str, &'static str);

/// A running watch, counted until it is dropped.
pub(crate) struct Watching(Arc<AtomicI64>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Counts nothing so far.
    pub(crate) fn new() -> Self {
        Self {
            started: Some(SystemTime::now()),
            ..Self::default()
        }
    }

    /// Counts a request. A watch's duration is the time until it began.
    pub(crate) fn observe(&self, labels: Labels, code: u16, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let timed = labels.verb != "WATCH";
        let mut requests = self.requests.lock();
        let counted = requests.entry(labels).or_default();
        match counted.codes.iter_mut().find(|(of, _)| *of == code) {
            Some((_, count)) => *count += 1,
            None => counted.codes.push((code, 1)),
        }
        if timed {
            let times = &mut counted.times;
            times.count += 1;
            times.sum += seconds;
            let buckets = BOUNDS.iter().zip(&mut times.buckets);
            for (_, count) in buckets.filter(|(bound, _)| seconds <= **bound) {
                *count += 1;
            }
        }
    }

    /// Counts a watch for as long as it runs.
    pub(crate) fn watching(&self, resource: &Resource) -> Watching {
        let key = (resource.group, resource.version, resource.kind);
        let count = self.watchers.lock().entry(key).or_default().clone();
        count.fetch_add(1, Ordering::Relaxed);
        Watching(count)
    }

    /// The answer to `/metrics`.
    pub(crate) fn answer(&self, app: &App) -> Response {
        let mut out = String::with_capacity(16 << 10);
        self.requests(&mut out);
        self.watchers(&mut out);
        objects(app, &mut out);
        self.process(&mut out);
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        respond::raw(Form::plain(), 200, kind, out.into())
    }

    fn requests(&self, out: &mut String) {
        head(
            out,
            "apiserver_request_total",
            "counter",
            "Requests by what they were and their code.",
        );
        let requests = self.requests.lock();
        for (labels, counted) in requests.iter() {
            let labels = written(labels);
            for (code, count) in &counted.codes {
                let _ = writeln!(
                    out,
                    "apiserver_request_total{{code=\"{code}\",{labels}}} {count}"
                );
            }
        }
        let name = "apiserver_request_duration_seconds";
        head(
            out,
            name,
            "histogram",
            "Seconds from a request's arrival to its answer.",
        );
        let timed = requests.iter().filter(|(_, c)| c.times.count > 0);
        for (labels, Counted { times, .. }) in timed {
            let labels = written(labels);
            for (bound, count) in BOUNDS.iter().zip(times.buckets) {
                let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}");
            }
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", times.count);
            let _ = writeln!(out, "{name}_sum{{{labels}}} {}", times.sum);
            let _ = writeln!(out, "{name}_count{{{labels}}} {}", times.count);
        }
    }

    fn watchers(&self, out: &mut String) {
        let name = "apiserver_longrunning_requests";
        head(out, name, "gauge", "Running watches.");
        for ((group, version, kind), count) in self.watchers.lock().iter() {
            let count = count.load(Ordering::Relaxed);
            let _ = writeln!(
                out,
                "{name}{{verb=\"WATCH\",group=\"{group}\",version=\"{version}\",kind=\"{kind}\"}} {count}"
            );
        }
    }

    fn process(&self, out: &mut String) {
        let since_epoch = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let started = self.started.map(since_epoch).unwrap_or_default();
        gauge(out, "process_start_time_seconds", started.as_secs_f64());
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kilobytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            number.unwrap_or(0.0)
        };
        gauge(
            out,
            "process_resident_memory_bytes",
            kilobytes("VmRSS:") * 1024.0,
        );
        gauge(
            out,
            "process_virtual_memory_bytes",
            kilobytes("VmSize:") * 1024.0,
        );
        let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        gauge(out, "process_open_fds", files as f64);
        head(
            out,
            "process_cpu_seconds_total",
            "counter",
            "Seconds of CPU, user and system.",
        );
        let _ = writeln!(out, "process_cpu_seconds_total {}", cpu_seconds());
    }
}

/// The clock ticks of `/proc/PID/stat`, which Linux counts 100 a second on every platform of ours.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in brackets, may hold spaces.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn objects(app: &App, out: &mut String) {
    let name = "apiserver_storage_objects";
    head(out, name, "gauge", "Stored objects by kind.");
    for cache in app.cache.all() {
        let resource = cache.kind.resource().qualified();
        let _ = writeln!(out, "{name}{{resource=\"{resource}\"}} {}", cache.count());
    }
    gauge(
        out,
        "apiserver_storage_revision",
        app.cache.revision() as f64,
    );
}

fn written(labels: &Labels) -> String {
    format!(
        "component=\"apiserver\",dry_run=\"{}\",group=\"{}\",resource=\"{}\",scope=\"{}\",subresource=\"{}\",verb=\"{}\",version=\"{}\"",
        if labels.dry_run { "All" } else { "" },
        labels.group,
        labels.resource,
        labels.scope,
        labels.subresource,
        labels.verb,
        labels.version,
    )
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn gauge(out: &mut String, name: &str, value: f64) {
    let _ = writeln!(out, "# TYPE {name} gauge\n{name} {value}");
}
