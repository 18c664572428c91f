//! The kinds, held against recordings of a real kube-apiserver.
//!
//! A case is `src/kinds/<group>/<kind>/testdata/<case>.yaml`: the first document is created, each
//! further one is merged into what is stored and put back; a document with `part: status` goes to
//! the status. Beside it, `<case>.json` says what kube-apiserver answered to each step: the object
//! and its row, or the problems. `columns.json` holds the columns. For a kind that is not stored see
//! [`questions`].
//!
//! To record again, against Kubernetes 1.37 with the admission plugins `ServiceAccount`,
//! `DefaultTolerationSeconds`, `Priority` and `TaintNodesByCondition` turned off, since admission
//! is no part of a kind:
//!
//! ```text
//! kubectl proxy --port 8001 &
//! UPDATE_GOLDENS=127.0.0.1:8001 cargo test -p api --test kinds
//! ```

mod questions;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use api::field::Error;
use api::kind::{Kind, Part, Scope};
use api::kinds::{KINDS, by_kind};
use api::{meta, schema};
use serde_json::{Value, json};

/// What the system sets, apart from any kind.
const SYSTEM: &[&str] = &[
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "managedFields",
];
/// Columns whose cells depend on the time of day.
const AGES: &[&str] = &["Age", "Created At", "Last Seen", "First Seen"];

fn kinds_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kinds")
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).expect("a readable folder");
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    paths.retain(|p| p.is_dir());
    paths.sort();
    paths
}

fn folder_of(kind: &dyn Kind) -> PathBuf {
    let resource = kind.resource();
    let group = match resource.group {
        "" => "core",
        group => group.split('.').next().unwrap_or(group),
    };
    kinds_folder()
        .join(group)
        .join(resource.kind.to_lowercase())
}

#[test]
fn every_folder_of_a_kind_is_registered() {
    let registered: BTreeSet<PathBuf> = KINDS.iter().map(|k| folder_of(*k)).collect();
    let found: BTreeSet<PathBuf> = folders(&kinds_folder())
        .iter()
        .flat_map(|group| folders(group))
        .collect();
    assert_eq!(found, registered);
}

#[test]
fn the_names_of_kinds_are_unique_and_their_schemas_exist() {
    let mut names = BTreeSet::new();
    for kind in KINDS {
        let resource = kind.resource();
        assert!(names.insert(resource.qualified()), "{}", resource.plural);
        assert!(schema::of(resource.schema).is_some(), "{}", resource.schema);
        let same = by_kind(&resource.api_version(), resource.kind);
        assert!(same.is_some_and(|k| k.resource() == resource));
    }
}

#[test]
fn columns_are_those_of_the_real_server() {
    for kind in KINDS.iter().filter(|kind| kind.resource().is_stored()) {
        let path = folder_of(*kind).join("testdata/columns.json");
        if let Some(server) = Server::from_environment() {
            let table = server.table(&server.collection(*kind, "default"));
            write(&path, &table["columnDefinitions"]);
        }
        let ours: Vec<Value> = kind
            .columns()
            .iter()
            .map(|c| {
                json!({
                    "name": c.name,
                    "type": c.kind,
                    "format": c.format,
                    "priority": c.priority,
                    "description": c.description,
                })
            })
            .collect();
        assert_eq!(json!(ours), read(&path), "{}", kind.resource().kind);
    }
}

#[test]
fn objects_become_what_the_real_server_makes_of_them() {
    let mut wrong = Vec::new();
    let mut cases = 0;
    for kind in KINDS {
        let data = folder_of(*kind).join("testdata");
        for case in cases_in(&data) {
            cases += 1;
            let steps = documents(&case);
            let golden = case.with_extension("json");
            if let Some(server) = Server::from_environment() {
                write(&golden, &server.record(*kind, &steps));
            }
            let expected = read(&golden);
            let found = replay(*kind, &steps, &expected);
            if found != expected {
                wrong.push(format!(
                    "{}\n{}",
                    case.display(),
                    changes(&expected, &found)
                ));
            }
        }
    }
    assert!(cases > 0, "there are no cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// `testdata/describe/<case>.json` holds an object, the objects it relates to, and what `kubectl
/// describe` said of it. `UPDATE_DESCRIPTIONS=<address of kubectl proxy>` describes the object of
/// that name again, with the program that `KUBECTL` names.
#[test]
fn descriptions_are_those_of_kubectl() {
    let mut wrong = Vec::new();
    for kind in KINDS {
        let folder = folder_of(*kind).join("testdata/describe");
        let entries = fs::read_dir(&folder).into_iter().flatten();
        for path in entries.map(|e| e.expect("an entry").path()) {
            let mut case = read(&path);
            if let Ok(address) = std::env::var("UPDATE_DESCRIPTIONS") {
                case = Server { address }.description(*kind, &case["object"]);
                write(&path, &case);
            }
            let related: Vec<Vec<Value>> =
                serde_json::from_value(case["related"].clone()).expect("lists of objects");
            let now = case["now"].as_str().expect("a time").parse();
            let text = kind.describe(&case["object"], &related, now.expect("a time"));
            let text = json!(text.expect("a description").split('\n').collect::<Vec<_>>());
            if text != case["text"] {
                wrong.push(format!(
                    "{}\n{}",
                    path.display(),
                    changes(&case["text"], &text)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn cases_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "yaml"));
    paths.sort();
    paths
}

fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("a readable case");
    let documents = api::wire::yaml::documents(&text).expect("a case in YAML");
    documents
        .into_iter()
        .map(|document| document.value)
        .collect()
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).expect("a golden in JSON")
}

fn write(path: &Path, value: &Value) {
    fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
    let text = serde_json::to_string_pretty(value).expect("a value is JSON");
    fs::write(path, text + "\n").expect("a writable golden");
}

/// The lines of `expected` that are not in `found`, and the other way round.
fn changes(expected: &Value, found: &Value) -> String {
    let lines = |v: &Value| -> Vec<String> {
        let text = serde_json::to_string_pretty(v).expect("a value is JSON");
        text.lines().map(str::to_owned).collect()
    };
    let (expected, found) = (lines(expected), lines(found));
    let minus = expected.iter().filter(|l| !found.contains(l));
    let plus = found.iter().filter(|l| !expected.contains(l));
    let minus = minus.map(|l| format!("- {l}\n"));
    minus.chain(plus.map(|l| format!("+ {l}\n"))).collect()
}

/// Which part a step writes to, and the step without saying so.
fn part_of(step: &Value) -> (Part, Value) {
    let mut step = step.clone();
    let part = step.as_object_mut().and_then(|s| s.remove("part"));
    match part.as_ref().and_then(Value::as_str) {
        Some("status") => (Part::Status, step),
        Some("ephemeralcontainers") => (Part::Other("ephemeralcontainers"), step),
        _ => (Part::Main, step),
    }
}

/// Puts `change` into `object`: objects are merged, `null` removes.
fn merge(object: &mut Value, change: &Value) {
    let (Some(fields), Some(changes)) = (object.as_object_mut(), change.as_object()) else {
        *object = change.clone();
        return;
    };
    for (key, change) in changes {
        if change.is_null() {
            fields.remove(key);
        } else {
            merge(fields.entry(key).or_insert(json!({})), change);
        }
    }
}

/// Runs the steps through a kind as the generic code does. Updates start from what the recording
/// says is stored, so that one difference does not lead to others.
fn replay(kind: &dyn Kind, steps: &[Value], golden: &Value) -> Value {
    if !kind.resource().is_stored() {
        return questions::replay(kind, steps);
    }
    let mut results = Vec::new();
    let mut stored: Option<Value> = None;
    for (at, step) in steps.iter().enumerate() {
        let (part, change) = part_of(step);
        let result = match &stored {
            None => create(kind, change),
            Some(stored) => update(kind, part, stored, &change),
        };
        results.push(result.map_or_else(problems, |mut object| {
            timeless_object(&mut object);
            json!({"object": object, "row": row(kind, &object)})
        }));
        let recorded = &golden[at]["object"];
        if recorded.is_object() {
            stored = Some(recorded.clone());
        }
    }
    results.into()
}

fn checked(kind: &dyn Kind, mut object: Value) -> Value {
    let schema = schema::of(kind.resource().schema).expect("tested above");
    let checked = schema.check(&mut object);
    assert!(checked.error.is_none(), "{:?}", checked.error);
    object
}

fn create(kind: &dyn Kind, object: Value) -> Result<Value, Vec<Error>> {
    let mut object = object;
    if kind.resource().scope == Scope::Namespaced && meta::namespace(&object).is_empty() {
        object["metadata"]["namespace"] = "default".into();
    }
    let mut object = checked(kind, object);
    kind.default(&mut object);
    kind.prepare_create(&mut object);
    let mut errors = meta::validate::object_meta(kind.resource(), kind, &object);
    errors.extend(kind.validate(&object));
    if errors.is_empty() {
        Ok(object)
    } else {
        Err(errors)
    }
}

fn update(
    kind: &dyn Kind,
    part: Part,
    stored: &Value,
    change: &Value,
) -> Result<Value, Vec<Error>> {
    let mut stored = stored.clone();
    stored["metadata"]["resourceVersion"] = "1".into();
    let mut object = stored.clone();
    merge(&mut object, change);
    let mut object = checked(kind, object);
    kind.default(&mut object);
    kind.prepare_update(part, &mut object, &stored);
    let mut errors = meta::validate::object_meta_update(&object, &stored);
    errors.extend(kind.validate_update(part, &object, &stored));
    if part != Part::Status {
        errors.extend(kind.validate(&object));
    }
    if errors.is_empty() {
        Ok(object)
    } else {
        Err(errors)
    }
}

/// The problems as `path: message`, each once, sorted: Kubernetes walks maps in random order.
fn problems(errors: Vec<Error>) -> Value {
    let texts: BTreeSet<String> = errors.iter().map(|e| first_line(&e.to_string())).collect();
    json!({"problems": texts})
}

/// Takes out what the system sets, and the times of changes.
fn timeless_object(object: &mut Value) {
    let metadata = object["metadata"].as_object_mut().expect("metadata");
    metadata.retain(|field, _| !SYSTEM.contains(&field.as_str()));
    let status = object.get_mut("status");
    let conditions = status.and_then(|s| s.get_mut("conditions"));
    for condition in conditions
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        condition["lastTransitionTime"] = Value::Null;
    }
}

/// A message without the difference that some go on with: it shows the server's own Go types.
fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

fn row(kind: &dyn Kind, object: &Value) -> Value {
    let now = "2026-01-01T00:00:00Z".parse().expect("a time");
    timeless(kind, kind.cells(object, now))
}

fn timeless(kind: &dyn Kind, cells: Vec<Value>) -> Value {
    let columns = kind.columns().iter();
    let cells = columns.zip(cells);
    cells
        .map(|(column, cell)| match AGES.contains(&column.name) {
            true => Value::Null,
            false => cell,
        })
        .collect()
}

/// A real server behind `kubectl proxy`.
struct Server {
    address: String,
}

impl Server {
    fn from_environment() -> Option<Self> {
        let address = std::env::var("UPDATE_GOLDENS").ok()?;
        Some(Self { address })
    }

    fn collection(&self, kind: &dyn Kind, namespace: &str) -> String {
        let resource = kind.resource();
        let root = match resource.group {
            "" => format!("/api/{}", resource.version),
            group => format!("/apis/{group}/{}", resource.version),
        };
        match resource.scope {
            Scope::Cluster => format!("{root}/{}", resource.plural),
            Scope::Namespaced => format!("{root}/namespaces/{namespace}/{}", resource.plural),
        }
    }

    /// One request; HTTP/1.0, so that the answer ends with the connection.
    fn request(&self, method: &str, path: &str, accept: &str, body: Option<&Value>) -> Value {
        let body = body.map(ToString::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(&self.address).expect("kubectl proxy is running");
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nAccept: {accept}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len(),
        )
        .expect("the request is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("headers, then a body");
        serde_json::from_str(body).expect("an answer in JSON")
    }

    fn json(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        self.request(method, path, "application/json", body)
    }

    fn table(&self, path: &str) -> Value {
        let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
        self.request("GET", path, accept, None)
    }

    /// What kubectl says of an object, with all that it looks at.
    fn description(&self, kind: &dyn Kind, object: &Value) -> Value {
        let (name, namespace) = (meta::name(object), meta::namespace(object));
        let mut object = self.json(
            "GET",
            &format!("{}/{name}", self.collection(kind, namespace)),
            None,
        );
        forget_managers(&mut object);
        let lists: Vec<Value> = kind
            .related(&object)
            .iter()
            .map(|query| {
                let other = KINDS.iter().find(|k| {
                    let resource = k.resource();
                    resource.group == query.group && resource.plural == query.plural
                });
                let other = *other.expect("a kind of ours");
                let path = self.collection(other, query.namespace.as_deref().unwrap_or_default());
                let path = path.replace("/namespaces//", "/");
                let encode = |text: &str| text.replace('=', "%3D").replace(',', "%2C");
                let (labels, fields) = (encode(&query.labels), encode(&query.fields));
                let path = format!("{path}?labelSelector={labels}&fieldSelector={fields}");
                let mut list = self.json("GET", &path, None)["items"].take();
                list.as_array_mut()
                    .expect("a list")
                    .iter_mut()
                    .for_each(forget_managers);
                list
            })
            .collect();
        let program = std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
        let mut command = std::process::Command::new(program);
        command.args([
            "--server",
            &self.address,
            "describe",
            kind.resource().singular,
            name,
        ]);
        if !namespace.is_empty() {
            command.args(["--namespace", namespace]);
        }
        let output = command.env("TZ", "UTC").output().expect("kubectl runs");
        let now = std::time::SystemTime::now();
        let now = jiff::Timestamp::try_from(now).expect("a time");
        let text = String::from_utf8(output.stdout).expect("text");
        let text: Vec<&str> = text.split('\n').collect();
        json!({"object": object, "related": lists, "now": now.to_string(), "text": text})
    }

    /// Runs the steps for real, and cleans up.
    fn record(&self, kind: &dyn Kind, steps: &[Value]) -> Value {
        let name = meta::name(&steps[0]).to_owned();
        let namespace = match meta::namespace(&steps[0]) {
            "" => "default",
            namespace => namespace,
        };
        let collection = self.collection(kind, namespace);
        if !kind.resource().is_stored() {
            return questions::record(steps, |step| self.json("POST", &collection, Some(step)));
        }
        let own = format!("{collection}/{name}");
        let mut stored: Option<Value> = None;
        let mut results = Vec::new();
        for step in steps {
            let (part, change) = part_of(step);
            let answer = match &stored {
                None => self.json("POST", &collection, Some(&change)),
                Some(stored) => {
                    let mut object = stored.clone();
                    merge(&mut object, &change);
                    let path = match part {
                        Part::Main => own.clone(),
                        Part::Status => format!("{own}/status"),
                        Part::Other(name) => format!("{own}/{name}"),
                    };
                    self.json("PUT", &path, Some(&object))
                }
            };
            if answer["kind"] == "Status" {
                results.push(recorded_problems(&answer));
                continue;
            }
            stored = Some(answer.clone());
            let mut object = answer;
            timeless_object(&mut object);
            let table = self.table(&own);
            let cells = table["rows"][0]["cells"].as_array().expect("a row");
            results.push(json!({"object": object, "row": timeless(kind, cells.clone())}));
        }
        let now = json!({"gracePeriodSeconds": 0});
        self.json("DELETE", &own, Some(&now));
        if let Some(mut object) = stored
            && kind.resource().subresource("finalize").is_some()
        {
            timeless_object(&mut object);
            object["spec"]["finalizers"] = json!([]);
            self.json("PUT", &format!("{own}/finalize"), Some(&object));
        }
        results.into()
    }
}

fn forget_managers(object: &mut Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
}

fn recorded_problems(status: &Value) -> Value {
    let causes = status["details"]["causes"].as_array();
    let causes = causes.unwrap_or_else(|| panic!("no causes: {status}"));
    let texts: BTreeSet<String> = causes
        .iter()
        .map(|c| {
            let field = c["field"].as_str().unwrap_or_default();
            // An empty path is written as this text.
            let field = field.strip_prefix("<nil>").unwrap_or(field);
            first_line(&format!(
                "{field}: {}",
                c["message"].as_str().unwrap_or_default()
            ))
        })
        .collect();
    json!({"problems": texts})
}
