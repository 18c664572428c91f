//! A runtime and an API server for tests: both live in memory and do at once what they are asked for.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

use crate::image::Image;
use crate::pod::effects::ImageSource;
use crate::runtime::{
    Container, ContainerSpec, Error, ExecSession, ExecSpec, Exit, Phase, Pod, PodSandbox, PodState,
    PodStats, Runtime,
};

/// The body of an answer.
type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A runtime whose containers run until they are told to end.
#[derive(Clone, Default)]
pub(crate) struct FakeRuntime {
    pods: Arc<Mutex<BTreeMap<String, Arc<FakePod>>>>,
}

impl FakeRuntime {
    /// The pod with that uid.
    pub(crate) fn pod(&self, uid: &str) -> Option<Arc<FakePod>> {
        self.pods.lock().get(uid).cloned()
    }
}

#[async_trait]
impl Runtime for FakeRuntime {
    async fn create_pod(&self, sandbox: PodSandbox) -> Result<Arc<dyn Pod>, Error> {
        let uid = sandbox.uid.clone();
        let pod = Arc::new(FakePod {
            sandbox,
            state: watch::Sender::new(Arc::default()),
            specs: Mutex::default(),
            signals: watch::Sender::new(Vec::new()),
            pods: self.pods.clone(),
        });
        self.pods.lock().insert(uid, pod.clone());
        Ok(pod)
    }

    async fn recover(&self) -> Result<Vec<Arc<dyn Pod>>, Error> {
        let pods = self.pods.lock();
        Ok(pods
            .values()
            .map(|pod| pod.clone() as Arc<dyn Pod>)
            .collect())
    }
}

/// A pod of the fake runtime.
pub(crate) struct FakePod {
    sandbox: PodSandbox,
    state: watch::Sender<Arc<PodState>>,
    /// What containers were started with.
    pub(crate) specs: Mutex<Vec<ContainerSpec>>,
    /// Container ids and signals.
    pub(crate) signals: watch::Sender<Vec<(String, i32)>>,
    pods: Arc<Mutex<BTreeMap<String, Arc<FakePod>>>>,
}

impl FakePod {
    /// Ends the newest run of a container.
    pub(crate) fn exit(&self, name: &str, code: i32) {
        self.change(|state| {
            let mut runs = state.containers.iter_mut().rev();
            let run = runs.find(|c| c.name == name).expect("a run");
            run.phase = Phase::Exited(Exit {
                code,
                signal: None,
                oom_killed: false,
                started_at: Timestamp::now(),
                finished_at: Timestamp::now(),
            });
        });
    }

    fn change(&self, change: impl FnOnce(&mut PodState)) {
        let mut state = PodState::clone(&self.state.borrow());
        change(&mut state);
        self.state.send_replace(Arc::new(state));
    }
}

#[async_trait]
impl Pod for FakePod {
    fn sandbox(&self) -> &PodSandbox {
        &self.sandbox
    }

    fn addresses(&self) -> Vec<IpAddr> {
        vec![IpAddr::from([10, 0, 0, 2])]
    }

    fn state(&self) -> watch::Receiver<Arc<PodState>> {
        self.state.subscribe()
    }

    async fn start_container(&self, spec: ContainerSpec) -> Result<String, Error> {
        if spec.command.first().is_some_and(|word| word == "missing") {
            return Err(Error::Start("\"missing\": no such file".to_owned()));
        }
        let id = format!("{}-{}", spec.name, spec.attempt);
        self.change(|state| {
            state.containers.push(Container {
                id: id.clone(),
                name: spec.name.clone(),
                attempt: spec.attempt,
                image: spec.image.clone(),
                image_id: "sha256:1".to_owned(),
                log_path: spec.log_path.clone(),
                user: None,
                stop_signal: libc::SIGTERM,
                created_at: Timestamp::now(),
                phase: Phase::Running {
                    pid: 1,
                    started_at: Timestamp::now(),
                },
            });
        });
        self.specs.lock().push(spec);
        Ok(id)
    }

    async fn signal(&self, container: &str, signal: i32) -> Result<(), Error> {
        self.signals
            .send_modify(|s| s.push((container.to_owned(), signal)));
        let state = self.state.borrow().clone();
        let name = state.get(container).map(|c| c.name.clone());
        // A container named so ends only when it is killed.
        if let Some(name) = name.filter(|name| name != "stubborn" || signal == libc::SIGKILL) {
            self.exit(&name, 128 + signal);
        }
        Ok(())
    }

    /// Echoes its input; the command's first word is the exit code.
    async fn exec(&self, _: &str, spec: ExecSpec) -> Result<ExecSession, Error> {
        let (ours, theirs) = tokio::io::duplex(1024);
        let (mut input, mut output) = tokio::io::split(ours);
        let (done, exit) = oneshot::channel();
        let code = spec.command[0].parse().unwrap_or(0);
        let echoes = spec.stdin;
        tokio::spawn(async move {
            if echoes {
                let _ = tokio::io::copy(&mut input, &mut output).await;
            }
            drop(output);
            let _ = done.send(Ok(code));
        });
        let (stdout, stdin) = tokio::io::split(theirs);
        Ok(ExecSession {
            stdin: spec.stdin.then(|| Box::pin(stdin) as _),
            stdout: Box::pin(stdout),
            stderr: None,
            resize: Arc::new(|_, _| {}),
            exit,
        })
    }

    async fn stats(&self) -> Result<PodStats, Error> {
        Ok(PodStats::default())
    }

    async fn remove_container(&self, container: &str) -> Result<(), Error> {
        self.change(|state| state.containers.retain(|c| c.id != container));
        Ok(())
    }

    async fn remove(&self) -> Result<(), Error> {
        self.pods.lock().remove(&self.sandbox.uid);
        Ok(())
    }
}

/// Every image but one called `missing`.
pub(crate) struct FakeImages;

impl ImageSource for FakeImages {
    fn find(&self, reference: &str) -> Result<Option<Image>, String> {
        let image = json!({
            "id": "sha256:1", "names": [reference], "digest": "sha256:2", "size": 1,
            "config": {}, "layers": [],
        });
        let image = serde_json::from_value(image).expect("an image");
        Ok(Some(image).filter(|_| reference != "missing"))
    }

    fn all(&self) -> Vec<Image> {
        Vec::new()
    }
}

/// An API server that keeps what it is told: objects by path, one watch for all.
#[derive(Clone, Default)]
pub(crate) struct FakeServer(Arc<State>);

struct State {
    objects: Mutex<BTreeMap<String, Value>>,
    watchers: Mutex<Vec<(String, mpsc::UnboundedSender<Bytes>)>>,
    changes: watch::Sender<u64>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            objects: Mutex::default(),
            watchers: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }
}

impl FakeServer {
    /// A client of it.
    pub(crate) fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let server = server.clone();
            async move {
                let (parts, body) = request.into_parts();
                let bytes = body.collect().await.expect("in memory").to_bytes();
                let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
                let query = parts.uri.query().unwrap_or_default();
                let path = parts.uri.path();
                Ok::<_, Infallible>(server.answer(&parts.method, path, query, body))
            }
        });
        kube::Client::new(service, "default")
    }

    /// Stores an object as somebody else would.
    pub(crate) fn put(&self, path: &str, mut object: Value) {
        let created = self.get(path).is_none();
        self.0.changes.send_modify(|version| *version += 1);
        let version = self.0.changes.borrow().to_string();
        object["metadata"]["resourceVersion"] = json!(version);
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!(format!("uid-{version}"));
        }
        self.0
            .objects
            .lock()
            .insert(path.to_owned(), object.clone());
        self.tell(path, if created { "ADDED" } else { "MODIFIED" }, &object);
    }

    /// Removes an object.
    pub(crate) fn remove(&self, path: &str) {
        let removed = self.0.objects.lock().remove(path);
        if let Some(object) = removed {
            self.tell(path, "DELETED", &object);
            self.0.changes.send_modify(|version| *version += 1);
        }
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.0.objects.lock().get(path).cloned()
    }

    /// Waits until the object at a path (or its absence) satisfies a condition.
    pub(crate) async fn until(&self, path: &str, is: impl Fn(Option<&Value>) -> bool) {
        let mut changes = self.0.changes.subscribe();
        let found = tokio::time::timeout(
            std::time::Duration::from_secs(1000),
            changes.wait_for(|_| is(self.get(path).as_ref())),
        );
        if found.await.is_err() {
            panic!("{path} is {:#?}", self.get(path));
        }
    }

    fn tell(&self, path: &str, kind: &str, object: &Value) {
        let event = json!({"type": kind, "object": object});
        let line = Bytes::from(format!("{event}\n"));
        let collection = path
            .rsplit_once('/')
            .map_or("", |(collection, _)| collection);
        self.0.watchers.lock().retain(|(watched, sender)| {
            !matches(watched, collection, path) || sender.send(line.clone()).is_ok()
        });
    }

    fn answer(&self, method: &Method, path: &str, query: &str, body: Value) -> Response<Body> {
        if method == Method::GET && query.contains("watch=") {
            return self.watch(path, query);
        }
        let key = path.trim_end_matches("/status").to_owned();
        match *method {
            Method::GET if is_collection(path) => self.list(path, query),
            Method::GET => found(self.get(path)),
            Method::POST if path.ends_with("/token") => respond(201, &token()),
            Method::POST => {
                let name = body["metadata"]["name"].as_str().unwrap_or_default();
                let key = format!("{path}/{name}");
                self.put(&key, body);
                found(self.get(&key))
            }
            Method::PATCH => match self.get(&key) {
                Some(mut object) => {
                    merge(&mut object, &body);
                    self.put(&key, object);
                    found(self.get(&key))
                }
                None => found(None),
            },
            Method::DELETE => {
                let object = self.get(&key);
                self.remove(&key);
                found(object)
            }
            _ => found(None),
        }
    }

    fn list(&self, path: &str, query: &str) -> Response<Body> {
        let objects = self.0.objects.lock();
        let selected = format!("{path}?{query}");
        let items: Vec<&Value> = objects
            .iter()
            .filter(|(key, _)| {
                let collection = key.rsplit_once('/').map_or("", |(c, _)| c);
                matches(&selected, collection, key)
            })
            .map(|(_, object)| object)
            .collect();
        let version = self.0.changes.borrow().max(1).to_string();
        let list = json!({
            "kind": "List", "apiVersion": "v1",
            "metadata": {"resourceVersion": version}, "items": items,
        });
        respond(200, &list)
    }

    fn watch(&self, path: &str, query: &str) -> Response<Body> {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let watched = format!("{path}?{query}");
        self.0.watchers.lock().push((watched, sender));
        let frames = futures::stream::poll_fn(move |context| {
            let line = receiver.poll_recv(context);
            line.map(|line| line.map(|line| Ok::<_, Infallible>(Frame::data(line))))
        });
        Response::new(StreamBody::new(frames).boxed_unsync())
    }
}

/// Whether a collection is asked for rather than an object.
fn is_collection(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    matches!(last, "pods" | "configmaps" | "secrets" | "nodes" | "events")
}

/// Whether an object belongs to what is watched or listed: its path, and its name if that is selected.
fn matches(watched: &str, collection: &str, path: &str) -> bool {
    let (of, query) = watched.split_once('?').unwrap_or((watched, ""));
    let name = path.rsplit('/').next().unwrap_or_default();
    let selected = query
        .split(['&', '='])
        .find_map(|part| part.strip_prefix("metadata.name%3D"));
    let everywhere = of == "/api/v1/pods" && collection.ends_with("/pods");
    (of == collection || everywhere) && selected.is_none_or(|selected| selected == name)
}

fn found(object: Option<Value>) -> Response<Body> {
    match object {
        Some(object) => respond(200, &object),
        None => respond(
            404,
            &json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
                "reason": "NotFound", "message": "not found", "code": 404}),
        ),
    }
}

fn token() -> Value {
    let expires = Timestamp::now() + jiff::SignedDuration::from_hours(1);
    json!({
        "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "spec": {},
        "status": {"token": "a-token", "expirationTimestamp": expires.to_string()},
    })
}

fn respond(code: u16, body: &Value) -> Response<Body> {
    let body = Full::new(Bytes::from(body.to_string()));
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = http::StatusCode::from_u16(code).expect("a status");
    response
}

/// A merge patch that knows of one list that is merged by type: conditions.
fn merge(object: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *object = patch.clone();
        return;
    };
    for (name, value) in fields {
        let into = &mut object[name.as_str()];
        match value {
            Value::Null => *into = Value::Null,
            Value::Array(items) if name == "conditions" => {
                let mut all = into.as_array().cloned().unwrap_or_default();
                all.retain(|old| !items.iter().any(|new| new["type"] == old["type"]));
                all.extend(items.iter().cloned());
                *into = Value::Array(all);
            }
            Value::Object(_) => merge(into, value),
            other => *into = other.clone(),
        }
    }
}
