//! The machine's transitions: inputs in, actions out.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::*;

/// A machine with a clock and a runtime that does at once what it is asked for.
struct Bench {
    machine: Machine,
    now: Timestamp,
    runs: Vec<(String, Instance)>,
    next_id: u32,
}

fn pod(spec: serde_json::Value) -> Arc<Pod> {
    let pod = json!({
        "metadata": {"name": "p", "namespace": "ns", "uid": "u"},
        "spec": spec,
    });
    Arc::new(serde_json::from_value(pod).expect("a pod"))
}

fn simple(policy: &str) -> Arc<Pod> {
    pod(json!({"restartPolicy": policy, "containers": [{"name": "c"}]}))
}

fn with_init(policy: &str) -> Arc<Pod> {
    pod(json!({
        "restartPolicy": policy,
        "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}],
        "containers": [{"name": "c"}],
    }))
}

impl Bench {
    fn new(pod: Arc<Pod>) -> Self {
        Self {
            machine: Machine::new(pod, false),
            now: Timestamp::from_second(1_700_000_000).expect("a time"),
            runs: Vec::new(),
            next_id: 0,
        }
    }

    /// One decision, without warnings.
    fn decide(&mut self) -> Vec<Action> {
        let mut actions = self.machine.decide(self.now).actions;
        actions.retain(|action| !matches!(action, Action::Warn { .. }));
        actions
    }

    fn tell(&mut self, input: Input) {
        self.machine.take(input, self.now);
    }

    fn pass(&mut self, seconds: i64) {
        self.now = after(self.now, seconds);
    }

    fn prepare(&mut self) {
        assert_eq!(self.decide(), [Action::MakeVolumes]);
        assert_eq!(self.decide(), []);
        self.tell(Input::VolumesReady);
        assert_eq!(self.decide(), [Action::MakeSandbox { again: false }]);
        self.tell(Input::SandboxReady);
    }

    /// Expects exactly the start of a container, and lets it run.
    fn starts(&mut self, name: &str, attempt: u32) -> String {
        let expected = Action::Start {
            container: name.to_owned(),
            attempt,
        };
        assert_eq!(self.decide(), [expected]);
        self.next_id += 1;
        let id = format!("id{}", self.next_id);
        let instance = Instance {
            id: id.clone(),
            attempt,
            image: "i".to_owned(),
            image_id: "sha256:1".to_owned(),
            user: None,
            life: Life::Running(self.now),
        };
        self.runs.push((name.to_owned(), instance));
        self.tell(Input::Containers(self.runs.clone()));
        self.tell(Input::Started(name.to_owned()));
        id
    }

    fn ends(&mut self, name: &str, code: i32) {
        let now = self.now;
        let run = self.runs.iter_mut().rev().find(|(n, _)| n == name);
        let (_, instance) = run.expect("a run");
        instance.life = Life::Ended(Ended {
            code,
            signal: None,
            reason: "Error".to_owned(),
            message: String::new(),
            started_at: Some(now),
            finished_at: Some(now),
        });
        self.tell(Input::Containers(self.runs.clone()));
    }

    fn stops(&mut self, name: &str) -> (String, i64) {
        let actions = self.decide();
        match &actions[..] {
            [
                Action::Stop {
                    container,
                    id,
                    grace,
                    ..
                },
            ] if container == name => (id.clone(), *grace),
            other => panic!("expected one stop of {name}: {other:?}"),
        }
    }

    fn stopped(&mut self, name: &str) {
        self.ends(name, 143);
        self.tell(Input::Stopped(name.to_owned()));
    }

    fn waiting(&self, name: &str) -> Option<(String, String)> {
        self.machine.facts.get(name)?.waiting.clone()
    }

    fn delete(&mut self, grace: i64) {
        let mut pod = Pod::clone(&self.machine.pod);
        pod.metadata.deletion_timestamp = Some(Time(self.now));
        pod.metadata.deletion_grace_period_seconds = Some(grace);
        self.tell(Input::Changed(Arc::new(pod)));
    }

    /// Expects the rest of the way after nothing runs any more.
    fn goes(&mut self) {
        assert_eq!(self.decide(), [Action::Report]);
        self.tell(Input::Reported);
        assert_eq!(self.decide(), [Action::Remove]);
        self.tell(Input::Removed);
    }
}

#[test]
fn a_pod_is_prepared_then_its_containers_start_one_after_the_other() {
    let spec = json!({"containers": [{"name": "a"}, {"name": "b"}]});
    let mut bench = Bench::new(pod(spec));
    bench.prepare();
    bench.starts("a", 0);
    bench.starts("b", 0);
    assert_eq!(bench.decide(), []);
}

#[test]
fn failed_volumes_are_tried_again_later_or_when_an_object_changes() {
    let mut bench = Bench::new(simple("Always"));
    assert_eq!(bench.decide(), [Action::MakeVolumes]);
    bench.tell(Input::VolumesFailed);
    assert_eq!(bench.decide(), []);
    bench.pass(RETRY);
    assert_eq!(bench.decide(), [Action::MakeVolumes]);
    bench.tell(Input::VolumesFailed);
    bench.tell(Input::Retry);
    assert_eq!(bench.decide(), [Action::MakeVolumes]);
}

#[test]
fn a_container_that_keeps_failing_waits_longer_each_time() {
    let mut bench = Bench::new(simple("Always"));
    bench.prepare();
    bench.starts("c", 0);
    bench.ends("c", 1);
    bench.starts("c", 1);
    bench.ends("c", 1);
    let decision = bench.machine.decide(bench.now);
    assert_eq!(decision.wake, Some(after(bench.now, 10)));
    let warning = "Back-off restarting failed container c in pod p_ns(u)";
    assert!(matches!(&decision.actions[..],
        [Action::Warn { reason: "BackOff", message, .. }] if message == warning));
    let message = "back-off 10s restarting failed container=c pod=p_ns(u)";
    let expected = ("CrashLoopBackOff".to_owned(), message.to_owned());
    assert_eq!(bench.waiting("c"), Some(expected));
    bench.pass(10);
    bench.starts("c", 2);
    assert_eq!(bench.waiting("c"), None);
    bench.ends("c", 0);
    assert!(matches!(
        &bench.decide()[..],
        [Action::Forget { attempt: 0, .. }]
    ));
    bench.runs.remove(0);
    bench.pass(19);
    assert_eq!(bench.decide(), []);
    bench.pass(1);
    bench.starts("c", 3);
}

#[test]
fn a_pod_that_never_restarts_ends_with_its_containers() {
    for (policy, code) in [("Never", 1), ("OnFailure", 0)] {
        let mut bench = Bench::new(simple(policy));
        bench.prepare();
        bench.starts("c", 0);
        bench.ends("c", code);
        bench.goes();
        assert_eq!(bench.decide(), []);
        assert!(!bench.machine.is_gone());
        bench.delete(0);
        assert_eq!(bench.decide(), [Action::DeleteObject]);
        bench.tell(Input::ObjectDeleted);
        assert_eq!(bench.decide(), []);
        assert!(bench.machine.is_gone());
    }
}

#[test]
fn init_containers_run_in_order_and_sidecars_go_on() {
    let mut bench = Bench::new(with_init("Always"));
    bench.prepare();
    bench.starts("i", 0);
    assert_eq!(bench.decide(), []);
    bench.ends("i", 1);
    bench.starts("i", 1);
    bench.ends("i", 0);
    bench.starts("s", 0);
    bench.starts("c", 0);
    assert_eq!(bench.decide(), []);
    bench.ends("s", 0);
    bench.starts("s", 1);
}

#[test]
fn an_init_container_that_fails_for_good_ends_the_pod() {
    let mut bench = Bench::new(with_init("Never"));
    bench.prepare();
    bench.starts("i", 0);
    bench.ends("i", 3);
    bench.goes();
}

#[test]
fn sidecars_are_stopped_after_the_containers() {
    let mut bench = Bench::new(with_init("Never"));
    bench.prepare();
    bench.starts("i", 0);
    bench.ends("i", 0);
    bench.starts("s", 0);
    bench.starts("c", 0);
    bench.delete(30);
    assert_eq!(bench.stops("c").1, 30);
    assert_eq!(bench.decide(), []);
    bench.pass(10);
    bench.stopped("c");
    assert_eq!(bench.stops("s").1, 20);
    bench.stopped("s");
    bench.goes();
    assert_eq!(bench.decide(), [Action::DeleteObject]);
}

#[test]
fn a_shorter_grace_period_makes_a_stop_more_urgent() {
    let mut bench = Bench::new(simple("Always"));
    bench.prepare();
    bench.starts("c", 0);
    bench.delete(30);
    assert_eq!(bench.stops("c").1, 30);
    bench.delete(60);
    assert_eq!(bench.decide(), []);
    bench.delete(0);
    assert_eq!(bench.stops("c").1, 2);
}

#[test]
fn a_missing_image_backs_off_after_the_error_was_seen() {
    let mut bench = Bench::new(simple("Always"));
    bench.prepare();
    assert_eq!(bench.decide().len(), 1);
    let failure = Failure {
        reason: "ErrImagePull",
        message: "not here".to_owned(),
        kind: FailureKind::Pull {
            image: "x".to_owned(),
        },
    };
    bench.tell(Input::NotStarted("c".to_owned(), failure));
    assert_eq!(bench.decide(), []);
    assert_eq!(bench.waiting("c").expect("waits").0, "ErrImagePull");
    bench.pass(2);
    assert_eq!(bench.decide(), []);
    let message = "Back-off pulling image \"x\": ErrImagePull: not here";
    let expected = ("ImagePullBackOff".to_owned(), message.to_owned());
    assert_eq!(bench.waiting("c"), Some(expected));
    bench.pass(8);
    bench.starts("c", 0);
}

#[test]
fn a_program_that_can_not_be_run_counts_as_a_run() {
    let mut bench = Bench::new(simple("Never"));
    bench.prepare();
    assert_eq!(bench.decide().len(), 1);
    let failure = Failure {
        reason: "RunContainerError",
        message: "no such file".to_owned(),
        kind: FailureKind::Run {
            id: "x".to_owned(),
            image: "i".to_owned(),
            image_id: String::new(),
            attempt: 0,
        },
    };
    bench.tell(Input::NotStarted("c".to_owned(), failure));
    let run = bench.machine.observed.newest("c").expect("a run");
    let ended = run.ended().expect("ended");
    assert_eq!((ended.code, ended.reason.as_str()), (128, "StartError"));
    bench.goes();
}

#[test]
fn a_failed_liveness_probe_restarts_the_container() {
    let spec = json!({
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": 7,
        "containers": [{"name": "c", "livenessProbe": {}, "readinessProbe": {}}],
    });
    let mut bench = Bench::new(pod(spec));
    bench.prepare();
    let id = bench.starts("c", 0);
    let probed = |kind, success| Input::Probed {
        container: "c".to_owned(),
        id: id.clone(),
        kind,
        success,
    };
    assert!(!bench.machine.facts["c"].ready);
    bench.tell(probed(Probe::Readiness, true));
    assert!(bench.machine.facts["c"].ready);
    bench.tell(probed(Probe::Liveness, false));
    let actions = bench.decide();
    let message = "Container c failed liveness probe, will be restarted";
    assert!(matches!(&actions[..],
        [Action::Stop { grace: 7, message: Some(m), .. }] if m == message));
    bench.ends("c", 0);
    assert_eq!(bench.decide(), []);
    bench.tell(Input::Stopped("c".to_owned()));
    bench.starts("c", 1);
    bench.tell(probed(Probe::Liveness, false));
    assert_eq!(
        bench.decide(),
        [],
        "the verdict is about a run that is past"
    );
}

#[test]
fn a_pod_past_its_deadline_fails() {
    let mut spec = Pod::clone(&simple("Always"));
    spec.spec.as_mut().expect("a spec").active_deadline_seconds = Some(60);
    let mut bench = Bench::new(Arc::new(spec));
    bench.prepare();
    bench.starts("c", 0);
    let mut pod = Pod::clone(&bench.machine.pod);
    pod.status.get_or_insert_default().start_time = Some(Time(bench.now));
    bench.tell(Input::Changed(Arc::new(pod)));
    bench.pass(1);
    let decision = bench.machine.decide(bench.now);
    assert_eq!(decision.wake, Some(after(bench.now, 59)));
    bench.pass(59);
    bench.stops("c");
    let (reason, message) = bench.machine.failure.clone().expect("a failure");
    assert_eq!(reason, "DeadlineExceeded");
    assert_eq!(
        message,
        "Pod was active on the node longer than the specified deadline"
    );
}

#[test]
fn an_object_deleted_without_grace_ends_the_pod_all_the_same() {
    let mut bench = Bench::new(simple("Always"));
    bench.prepare();
    bench.starts("c", 0);
    bench.tell(Input::Deleted);
    bench.stops("c");
    bench.stopped("c");
    bench.goes();
    assert_eq!(bench.decide(), []);
    assert!(bench.machine.is_gone());
}

#[test]
fn a_lost_sandbox_is_made_again_and_the_restart_is_counted() {
    let mut bench = Bench::new(simple("Always"));
    bench.prepare();
    bench.starts("c", 0);
    bench.tell(Input::Lost);
    assert_eq!(bench.decide(), [Action::MakeSandbox { again: true }]);
    bench.tell(Input::SandboxReady);
    bench.runs.clear();
    bench.starts("c", 1);
}

#[test]
fn a_pod_that_was_over_before_is_not_run_again() {
    let mut over = Pod::clone(&simple("Never"));
    over.status.get_or_insert_default().phase = Some("Succeeded".to_owned());
    let mut bench = Bench::new(Arc::new(over));
    assert_eq!(bench.decide(), []);
    bench.delete(30);
    assert_eq!(bench.decide(), [Action::DeleteObject]);
}

#[test]
fn an_adopted_container_keeps_its_id_its_count_and_its_readiness() {
    let mut known = Pod::clone(&simple("Always"));
    let status = json!({"containerStatuses": [{
        "name": "c", "image": "i", "imageID": "", "ready": true, "restartCount": 3, "started": true,
        "containerID": "libcontainer://id9",
    }]});
    known.status = Some(serde_json::from_value(status).expect("a status"));
    known.spec.as_mut().expect("a spec").containers[0].readiness_probe = Some(Default::default());
    let mut bench = Bench::new(Arc::new(known.clone()));
    bench.machine = Machine::new(Arc::new(known), true);
    let instance = Instance {
        id: "id9".to_owned(),
        attempt: 3,
        image: "i".to_owned(),
        image_id: String::new(),
        user: None,
        life: Life::Running(bench.now),
    };
    bench.tell(Input::Containers(vec![("c".to_owned(), instance)]));
    assert!(bench.machine.facts["c"].ready && bench.machine.facts["c"].started);
    assert_eq!(bench.decide(), [Action::MakeVolumes]);
    bench.tell(Input::VolumesReady);
    assert_eq!(bench.decide(), []);
}

#[test]
fn a_container_without_probes_is_ready_once_it_has_run_for_a_moment() {
    let mut bench = Bench::new(simple("Always"));
    bench.prepare();
    bench.starts("c", 0);
    let wake = bench
        .machine
        .decide(bench.now)
        .wake
        .expect("to be asked again");
    assert!(!bench.machine.facts["c"].ready);
    assert_eq!(wake.duration_since(bench.now).as_millis(), 500);
    bench.now = wake;
    assert_eq!(bench.machine.decide(bench.now).wake, None);
    assert!(bench.machine.facts["c"].ready);
    // The next run has to hold out again.
    bench.ends("c", 1);
    bench.starts("c", 1);
    bench.decide();
    assert!(!bench.machine.facts["c"].ready);
}

#[test]
fn a_container_whose_startup_probe_succeeds_is_ready_at_once() {
    let probe = json!({"exec": {"command": ["true"]}});
    let mut bench = Bench::new(pod(json!({
        "containers": [{"name": "c", "startupProbe": probe}],
    })));
    bench.prepare();
    let id = bench.starts("c", 0);
    assert!(!bench.machine.facts["c"].started);
    bench.tell(Input::Probed {
        container: "c".to_owned(),
        id,
        kind: Probe::Startup,
        success: true,
    });
    bench.decide();
    assert!(bench.machine.facts["c"].started && bench.machine.facts["c"].ready);
}
