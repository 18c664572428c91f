//! What a pod's machine wants done next, and when it has to be asked again.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Container;

use super::machine::{Action, End, Machine, Operation, Removal, Step, reported};
use super::spec;
use crate::clock::after;

/// A decision: what to do now, and when to decide again if nothing happens.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Decision {
    pub(crate) actions: Vec<Action>,
    pub(crate) wake: Option<Timestamp>,
}

impl Decision {
    fn wake_at(&mut self, time: Timestamp) {
        self.wake = Some(self.wake.map_or(time, |wake| wake.min(time)));
    }
}

/// How long a container without any probe has to run until it counts as ready, so that one that ends at once never
/// does. A kubelet looks once a second at what runs: on the average after this time.
const MOMENT: SignedDuration = SignedDuration::from_millis(500);

/// What the grace period never goes below, so that a container has a moment to end by itself.
const LEAST_GRACE: i64 = 2;

impl Machine {
    /// Decides. Asked again without an input in between, it wants nothing new.
    pub(crate) fn decide(&mut self, now: Timestamp) -> Decision {
        let mut decision = Decision::default();
        self.forget_old_runs(&mut decision);
        self.settle(now, &mut decision);
        self.look_for_end(now, &mut decision);
        if self.end.is_some() {
            self.stops.clear();
            self.wind_down(now, &mut decision);
        } else {
            self.restart_asked(now, &mut decision);
            self.run(now, &mut decision);
        }
        decision
    }

    /// The newest run and the one before are kept: their logs and their end can be asked for.
    fn forget_old_runs(&mut self, decision: &mut Decision) {
        for (container, runs) in &mut self.observed.instances {
            while runs.len() > 2
                && let Some(run) = runs.pop()
            {
                decision.actions.push(Action::Forget {
                    container: container.clone(),
                    id: run.id,
                    attempt: run.attempt,
                });
            }
        }
    }

    /// Takes for ready what has no probe to say so and has run for a moment.
    fn settle(&mut self, now: Timestamp, decision: &mut Decision) {
        let pod = self.pod.clone();
        let unprobed = |c: &&Container| c.readiness_probe.is_none() && c.startup_probe.is_none();
        let lasting = |c: &&Container| !spec::is_init(&pod, &c.name) || spec::is_sidecar(c);
        for container in spec::all_containers(&pod).filter(unprobed).filter(lasting) {
            let run = self.observed.newest(&container.name);
            let Some(since) = run.and_then(|run| run.running()) else {
                continue;
            };
            let facts = self.facts.entry(container.name.clone()).or_default();
            if facts.ready {
                continue;
            }
            match since.saturating_add(MOMENT) {
                Ok(due) if now < due => decision.wake_at(due),
                _ => facts.ready = true,
            }
        }
    }

    /// Whether something ends the pod: its deletion, its deadline, or that all its work is done.
    fn look_for_end(&mut self, now: Timestamp, decision: &mut Decision) {
        let deletion = self.pod.metadata.deletion_timestamp.is_some();
        if deletion || self.deleted {
            let grace = self.pod.metadata.deletion_grace_period_seconds;
            self.end_within(grace.unwrap_or_else(|| spec::grace_seconds(&self.pod)), now);
        }
        if self.end.is_some() {
            return;
        }
        let over = spec::is_over(&self.pod) && !spec::is_static(&self.pod);
        if self.past_deadline(now, decision) {
            let message = "Pod was active on the node longer than the specified deadline";
            self.failure = Some(("DeadlineExceeded".to_owned(), message.to_owned()));
            decision.actions.push(Action::Warn {
                container: None,
                normal: true,
                reason: "DeadlineExceeded",
                message: message.to_owned(),
            });
        } else if !over && !self.work_is_done() {
            return;
        }
        self.end_within(spec::grace_seconds(&self.pod), now);
    }

    /// Ends the pod, or ends it sooner.
    fn end_within(&mut self, grace: i64, now: Timestamp) {
        let deadline = after(now, grace.max(0));
        match &mut self.end {
            Some(end) if end.grace <= grace => {}
            Some(end) => {
                end.grace = grace;
                end.deadline = end.deadline.min(deadline);
            }
            None => self.end = Some(End { grace, deadline }),
        }
    }

    fn past_deadline(&self, now: Timestamp, decision: &mut Decision) -> bool {
        let started = self.pod.status.as_ref().and_then(|s| s.start_time.as_ref());
        let seconds = spec::spec(&self.pod).active_deadline_seconds;
        let (Some(started), Some(seconds)) = (started, seconds) else {
            return false;
        };
        let deadline = after(started.0, seconds);
        if now < deadline {
            decision.wake_at(deadline);
        }
        now >= deadline
    }

    /// Whether no container will be started again: all are over for good, or an init container has failed.
    fn work_is_done(&self) -> bool {
        let failed_init = spec::init_containers(&self.pod)
            .iter()
            .filter(|c| !spec::is_sidecar(c))
            .any(|c| self.code(c).is_some_and(|code| code != 0) && !self.wanted(c));
        let containers = spec::containers(&self.pod);
        let over = |c: &Container| self.code(c).is_some() && !self.wanted(c);
        failed_init || containers.iter().all(over)
    }

    /// The exit code of a container that is not running.
    fn code(&self, container: &Container) -> Option<i32> {
        let ended = self.observed.newest(&container.name)?.ended()?;
        Some(ended.code)
    }

    /// Whether a container that doesn't run should.
    fn wanted(&self, container: &Container) -> bool {
        let Some(code) = self.code(container) else {
            return !self.observed.alive(&container.name);
        };
        let never = spec::spec(&self.pod).restart_policy.as_deref() == Some("Never");
        let local = self.locals.get(&container.name);
        let again = local.is_some_and(|local| local.again) && !never;
        again || spec::restarts(&self.pod, container, code)
    }

    /// Stops what a probe or a hook has found bad.
    fn restart_asked(&mut self, now: Timestamp, decision: &mut Decision) {
        for (name, message) in std::mem::take(&mut self.stops) {
            let pod = self.pod.clone();
            let Some(container) = spec::container(&pod, &name) else {
                continue;
            };
            let probe = container.liveness_probe.as_ref();
            let own = probe.and_then(|probe| probe.termination_grace_period_seconds);
            let grace = own.unwrap_or_else(|| spec::grace_seconds(&pod));
            self.stop(&name, after(now, grace), Some(message), now, decision);
        }
    }

    /// Asks for a container's stop, once, and again if it has become more urgent.
    fn stop(
        &mut self,
        name: &str,
        deadline: Timestamp,
        message: Option<String>,
        now: Timestamp,
        decision: &mut Decision,
    ) {
        let Some(run) = self.observed.newest(name).filter(|run| run.is_alive()) else {
            return;
        };
        let id = run.id.clone();
        let local = self.local(name);
        if let Operation::Stopping(before) = local.operation
            && before <= deadline
        {
            return;
        }
        local.operation = Operation::Stopping(deadline);
        let grace = deadline.duration_since(now).as_secs().max(LEAST_GRACE);
        decision.actions.push(Action::Stop {
            container: name.to_owned(),
            id,
            grace,
            message,
        });
    }

    /// Preparing and Running.
    fn run(&mut self, now: Timestamp, decision: &mut Decision) {
        if !step(&mut self.volumes, now, decision, Action::MakeVolumes) {
            return;
        }
        let again = self.lost;
        let make = Action::MakeSandbox { again };
        if !step(&mut self.sandbox, now, decision, make) {
            return;
        }
        let starting = |local: &super::machine::Local| local.operation == Operation::Starting;
        if self.locals.values().any(starting) {
            return;
        }
        let pod = self.pod.clone();
        let main = spec::containers(&pod);
        let begun = main.iter().any(|c| self.observed.newest(&c.name).is_some());
        for container in spec::init_containers(&pod) {
            if !self.initialize(container, begun, now, decision) {
                return;
            }
        }
        for container in main {
            let waits = !self.observed.alive(&container.name) && self.wanted(container);
            if waits && self.start_if_due(container, now, decision) {
                return;
            }
        }
    }

    /// Does what an init container needs; whether those after it may go on.
    fn initialize(
        &mut self,
        container: &Container,
        begun: bool,
        now: Timestamp,
        decision: &mut Decision,
    ) -> bool {
        let alive = self.observed.alive(&container.name);
        if spec::is_sidecar(container) {
            if alive {
                let facts = self.facts.get(&container.name);
                return begun || facts.is_some_and(|facts| facts.started);
            }
            let started = self.start_if_due(container, now, decision);
            return begun && !started;
        }
        if begun || self.code(container) == Some(0) {
            return true;
        }
        if !alive && self.wanted(container) {
            self.start_if_due(container, now, decision);
        }
        false
    }

    /// Starts a container unless it has to wait; whether it is being started.
    fn start_if_due(
        &mut self,
        container: &Container,
        now: Timestamp,
        decision: &mut Decision,
    ) -> bool {
        let name = &container.name;
        if self.local(name).operation != Operation::None || self.must_wait(name, now, decision) {
            return false;
        }
        let ended = self.observed.newest(name).and_then(|run| run.ended());
        if let Some(finished) = ended.and_then(|ended| ended.finished_at)
            && self.backs_off(name, finished, now, decision)
        {
            return false;
        }
        self.local(name).operation = Operation::Starting;
        let attempt = self.attempt(name);
        decision.actions.push(Action::Start {
            container: name.clone(),
            attempt,
        });
        true
    }

    /// Whether a failed attempt is too recent. Shows the back-off once the error was seen for a moment.
    fn must_wait(&mut self, name: &str, now: Timestamp, decision: &mut Decision) -> bool {
        let local = self.local(name);
        let Some(retry_at) = local.retry_at.filter(|&time| time > now) else {
            return false;
        };
        decision.wake_at(retry_at);
        match local.then.take() {
            Some((time, reason, message)) if time <= now => {
                let image = message.split(": ").next().unwrap_or_default().to_owned();
                decision.actions.push(Action::Warn {
                    container: Some(name.to_owned()),
                    normal: true,
                    reason: "BackOff",
                    message: image,
                });
                decision.actions.push(Action::Warn {
                    container: Some(name.to_owned()),
                    normal: false,
                    reason: "Failed",
                    message: format!("Error: {reason}"),
                });
                let facts = self.facts.entry(name.to_owned()).or_default();
                facts.waiting = Some((reason, message));
            }
            Some(then) => {
                decision.wake_at(then.0);
                local.then = Some(then);
            }
            None => {}
        }
        true
    }

    /// Whether a container that ended has to wait before it starts again; raises the delay if not.
    fn backs_off(
        &mut self,
        name: &str,
        finished: Timestamp,
        now: Timestamp,
        decision: &mut Decision,
    ) -> bool {
        let full_name = spec::full_name(&self.pod);
        let local = self.local(name);
        let Some(until) = local.backoff.until(finished, now) else {
            local.backoff.next(finished, now);
            return false;
        };
        decision.wake_at(until);
        let delay = local.backoff.text();
        let message =
            format!("back-off {delay} restarting failed container={name} pod={full_name}");
        let waiting = Some(("CrashLoopBackOff".to_owned(), message));
        let facts = self.facts.entry(name.to_owned()).or_default();
        if facts.waiting != waiting {
            facts.waiting = waiting;
            decision.actions.push(Action::Warn {
                container: Some(name.to_owned()),
                normal: false,
                reason: "BackOff",
                message: format!("Back-off restarting failed container {name} in pod {full_name}"),
            });
        }
        true
    }

    /// How often the container was started before; what the API server holds counts if nothing else is left.
    fn attempt(&self, name: &str) -> u32 {
        if let Some(run) = self.observed.newest(name) {
            return run.attempt + 1;
        }
        let Some(status) = reported(&self.pod, name) else {
            return 0;
        };
        let ran = status.container_id.is_some();
        let count = u32::try_from(status.restart_count).unwrap_or_default();
        count + u32::from(ran)
    }

    /// Ending and what follows.
    fn wind_down(&mut self, now: Timestamp, decision: &mut Decision) {
        let Some(end) = self.end.clone() else { return };
        if self.removal == Removal::Todo {
            if !self.stop_all(&end, now, decision) {
                return;
            }
            self.removal = Removal::Reporting;
            decision.actions.push(Action::Report);
            return;
        }
        match self.removal {
            Removal::Reported => self.remove(decision),
            Removal::Failed(retry_at) if retry_at <= now => self.remove(decision),
            Removal::Failed(retry_at) => decision.wake_at(retry_at),
            Removal::Removed | Removal::Deleting if self.deleted => self.removal = Removal::Gone,
            Removal::Removed if self.pod.metadata.deletion_timestamp.is_some() => {
                self.removal = Removal::Deleting;
                decision.actions.push(Action::DeleteObject);
            }
            _ => {}
        }
    }

    fn remove(&mut self, decision: &mut Decision) {
        self.removal = Removal::Removing;
        decision.actions.push(Action::Remove);
    }

    /// Stops everything, sidecars last and in reverse; whether nothing runs and nothing is going on.
    fn stop_all(&mut self, end: &End, now: Timestamp, decision: &mut Decision) -> bool {
        let pod = self.pod.clone();
        let (sidecars, others): (Vec<_>, Vec<_>) =
            spec::all_containers(&pod).partition(|c| spec::is_sidecar(c));
        let mut busy = false;
        for container in others {
            self.stop(&container.name, end.deadline, None, now, decision);
            busy |= self.is_busy(&container.name);
        }
        for container in sidecars.into_iter().rev() {
            if busy {
                break;
            }
            self.stop(&container.name, end.deadline, None, now, decision);
            busy |= self.is_busy(&container.name);
        }
        let preparing = self.volumes == Step::Doing || self.sandbox == Step::Doing;
        !busy && !preparing
    }

    fn is_busy(&self, name: &str) -> bool {
        let local = self.locals.get(name);
        let operating = local.is_some_and(|local| local.operation != Operation::None);
        operating || self.observed.alive(name)
    }
}

/// Brings a step of the preparation forward; whether it is done.
fn step(step: &mut Step, now: Timestamp, decision: &mut Decision, action: Action) -> bool {
    match *step {
        Step::Done => return true,
        Step::Doing => return false,
        Step::Failed(retry_at) if now < retry_at => {
            decision.wake_at(retry_at);
            return false;
        }
        Step::Todo | Step::Failed(_) => {}
    }
    *step = Step::Doing;
    decision.actions.push(action);
    false
}
