//! Probes: each runs on its own timer as long as its container does, and reports only verdicts.
//!
//! ```text
//! start ─ initial delay ─► probe ─► count equal results ─► threshold reached: verdict
//!                            ▲                                  │
//!                            └──────────── period ◄─────────────┘
//! ```
//! A liveness probe that failed and a startup probe with any verdict are over: the next run gets new ones.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Probe};
use tokio::sync::mpsc;

pub(crate) mod command;
pub(crate) mod http;

use crate::clock::{Clock, after};
use crate::runtime;

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Startup,
    Liveness,
    Readiness,
}

impl Kind {
    /// As events name it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }

    /// The container's probe of this kind.
    pub(crate) fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Self::Startup => container.startup_probe.as_ref(),
            Self::Liveness => container.liveness_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
        }
    }
}

/// What a probe looks at.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) pod: Arc<dyn runtime::Pod>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) container: Container,
    /// The run.
    pub(crate) id: String,
    pub(crate) started_at: Timestamp,
}

/// What one attempt gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    /// With what to tell the user.
    Failure(String),
    /// The probe itself could not be made, which says nothing of the container.
    Error(String),
}

/// What a running probe tells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// The threshold was reached.
    Verdict(bool),
    /// For an event.
    Unhealthy(String),
}

/// Equal results in a row.
#[derive(Debug, Default)]
struct Counter {
    last: Option<bool>,
    run: i32,
}

impl Counter {
    /// Takes a result in; gives it back when its threshold is reached.
    fn count(&mut self, success: bool, probe: &Probe) -> Option<bool> {
        if self.last == Some(success) {
            self.run = self.run.saturating_add(1);
        } else {
            self.last = Some(success);
            self.run = 1;
        }
        let threshold = if success {
            probe.success_threshold.unwrap_or(1)
        } else {
            probe.failure_threshold.unwrap_or(3)
        };
        (self.run >= threshold).then_some(success)
    }
}

/// Probes until the probe is over, or until this future is dropped.
pub(crate) async fn run(
    kind: Kind,
    target: Target,
    clock: Clock,
    reports: mpsc::UnboundedSender<Report>,
) {
    let Some(probe) = kind.of(&target.container).cloned() else {
        return;
    };
    let delay = i64::from(probe.initial_delay_seconds.unwrap_or(0));
    tokio::time::sleep(clock.until(after(target.started_at, delay))).await;
    let period = seconds(probe.period_seconds, 10);
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut counter = Counter::default();
    let mut told = None;
    loop {
        ticks.tick().await;
        let success = match attempt(&probe, &target).await {
            Outcome::Success => true,
            Outcome::Failure(output) => {
                let text = format!("{} probe failed: {output}", kind.word());
                let _ = reports.send(Report::Unhealthy(text));
                false
            }
            Outcome::Error(error) => {
                let text = format!(
                    "{} probe errored and resulted in unknown state: {error}",
                    kind.word()
                );
                let _ = reports.send(Report::Unhealthy(text));
                continue;
            }
        };
        let Some(verdict) = counter.count(success, &probe) else {
            continue;
        };
        if told != Some(verdict) && reports.send(Report::Verdict(verdict)).is_err() {
            return;
        }
        told = Some(verdict);
        if kind == Kind::Startup || (kind == Kind::Liveness && !verdict) {
            return;
        }
    }
}

fn seconds(given: Option<i32>, default: u64) -> Duration {
    let given = given.and_then(|seconds| u64::try_from(seconds).ok());
    Duration::from_secs(given.filter(|&seconds| seconds > 0).unwrap_or(default))
}

/// One attempt.
async fn attempt(probe: &Probe, target: &Target) -> Outcome {
    let timeout = seconds(probe.timeout_seconds, 1);
    if let Some(exec) = &probe.exec {
        let command = exec.command.clone().unwrap_or_default();
        return command::probe(target.pod.as_ref(), &target.id, command, timeout).await;
    }
    if let Some(action) = &probe.http_get {
        return match http::Request::new(action, &target.container, target.address, "kube-probe") {
            Ok(request) => http::probe(&request, timeout).await,
            Err(why) => Outcome::Error(why),
        };
    }
    if let Some(action) = &probe.tcp_socket {
        let host = action.host.clone().filter(|host| !host.is_empty());
        let host = host.or_else(|| target.address.map(|a| a.to_string()));
        let port = http::port(&action.port, &target.container);
        return match (host, port) {
            (Some(host), Ok(port)) => tcp(&host, port, timeout).await,
            (None, _) => Outcome::Error("the pod has no address".to_owned()),
            (_, Err(why)) => Outcome::Error(why),
        };
    }
    Outcome::Error("missing probe handler".to_owned())
}

async fn tcp(host: &str, port: u16, timeout: Duration) -> Outcome {
    let connect = tokio::net::TcpStream::connect((host, port));
    match tokio::time::timeout(timeout, connect).await {
        Ok(Ok(_)) => Outcome::Success,
        Ok(Err(error)) => Outcome::Failure(http::dial_error(host, port, &error)),
        Err(_) => Outcome::Failure(format!("dial tcp {host}:{port}: i/o timeout")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_needs_as_many_equal_results_in_a_row_as_its_threshold() {
        let probe = Probe {
            success_threshold: Some(2),
            failure_threshold: Some(3),
            ..Probe::default()
        };
        let mut counter = Counter::default();
        let results = [true, true, false, false, true, false, false, false, false];
        let verdicts: Vec<_> = results
            .into_iter()
            .map(|result| counter.count(result, &probe))
            .collect();
        let expected = [
            None,
            Some(true),
            None,
            None,
            None,
            None,
            None,
            Some(false),
            Some(false),
        ];
        assert_eq!(verdicts, expected);
    }

    #[test]
    fn without_thresholds_one_success_and_three_failures_count() {
        let mut counter = Counter::default();
        let probe = Probe::default();
        assert_eq!(counter.count(true, &probe), Some(true));
        assert_eq!(counter.count(false, &probe), None);
        assert_eq!(counter.count(false, &probe), None);
        assert_eq!(counter.count(false, &probe), Some(false));
    }
}
