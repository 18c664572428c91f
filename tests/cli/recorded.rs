//! Scenarios: recorded from kubectl and a real server, replayed to `ctl` on loopback.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// Where scenarios, goldens and files are.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cli").join(name)
}

/// A request of a client.
struct Asked {
    line: String,
    head: Vec<String>,
    body: Vec<u8>,
}

/// What answers: a real server behind a proxy, or a recording.
enum Source {
    Proxy(Proxy),
    Recording(BTreeMap<String, VecDeque<Value>>, Vec<String>),
}

/// `kubectl proxy`, in front of a real server.
struct Proxy {
    address: String,
    /// Command lines for the time of the first watch.
    meanwhile: Vec<String>,
    kept: Vec<Value>,
}

/// An HTTP server on loopback.
struct Server {
    address: String,
    source: Arc<Mutex<Source>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address")
            .to_string();
        let source = Arc::new(Mutex::new(Source::Recording(BTreeMap::new(), Vec::new())));
        let shared = source.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, source }
    }

    fn set(&self, source: Source) -> Source {
        std::mem::replace(&mut *self.source.lock().expect("no holder panics"), source)
    }
}

fn serve(mut stream: TcpStream, source: &Mutex<Source>) {
    let Some(asked) = read_request(&mut stream) else {
        return;
    };
    let answer = answer(&asked, &mut source.lock().expect("no holder panics"));
    let body = answer["body"].as_str().unwrap_or_default();
    // A client that has seen enough may be gone.
    let _ = write!(
        stream,
        "HTTP/1.1 {} X\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        answer["status"].as_u64().unwrap_or(500),
        answer["type"].as_str().unwrap_or("application/json"),
        body.len(),
    );
}

fn read_request(stream: &mut TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let first = lines.first()?.clone();
    let length = header(&lines, "content-length")
        .and_then(|l| l.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (line, _) = first.rsplit_once(' ')?;
    Some(Asked {
        line: line.to_owned(),
        head: lines,
        body,
    })
}

fn header(lines: &[String], name: &str) -> Option<String> {
    let found = lines
        .iter()
        .skip(1)
        .filter_map(|l| l.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim().to_owned())
}

/// The request line, and as whom it is made and what it asks where the answer depends on that: who is
/// impersonated, and the question of an access review.
fn whole_line(asked: &Asked) -> String {
    let mut line = asked.line.clone();
    let mut add = |text: &str| {
        let joint = if line.contains('?') { '&' } else { '?' };
        line.push(joint);
        line.push_str(text);
    };
    for header in asked.head.iter().filter(|line| is_impersonation(line)) {
        add(&header.to_lowercase());
    }
    if let Some(plural) = asked
        .line
        .strip_prefix("POST /apis/authorization.k8s.io/v1/")
    {
        add(&question(asked, plural).to_string());
    }
    line
}

/// What an access review asks. kubectl sends protobuf, with every field that is not optional.
fn question(asked: &Asked, plural: &str) -> Value {
    let kind = match plural.starts_with("selfsubjectrules") {
        true => "SelfSubjectRulesReview",
        false => "SelfSubjectAccessReview",
    };
    let schema = format!("io.k8s.api.authorization.v1.{kind}");
    let is_protobuf = header(&asked.head, "content-type").is_some_and(|t| t.contains("protobuf"));
    let mut body = match is_protobuf {
        true => api::wire::protobuf::read(&asked.body, &schema).expect("a message of that kind"),
        false => serde_json::from_slice(&asked.body).expect("JSON"),
    };
    for attributes in ["resourceAttributes", "nonResourceAttributes"] {
        if let Some(fields) = body["spec"][attributes].as_object_mut() {
            fields.retain(|_, value| *value != "");
        }
    }
    let spec = body["spec"].as_object().cloned().unwrap_or_default();
    spec.into_iter().filter(|(_, v)| !v.is_null()).collect()
}

fn is_impersonation(header: &str) -> bool {
    header.to_lowercase().starts_with("impersonate-")
}

/// Method, path and query, the latter in order; without what clients add of their own. The parts of a
/// field selector come from a Go map, in any order.
fn key(line: &str) -> String {
    let (path, query) = line.split_once('?').unwrap_or((line, ""));
    let mut parts: Vec<String> = query
        .split('&')
        .filter(|p| !p.is_empty() && !p.starts_with("timeout"))
        .map(|part| match part.strip_prefix("fieldSelector=") {
            Some(fields) => {
                let mut fields: Vec<&str> = fields.split("%2C").collect();
                fields.sort_unstable();
                format!("fieldSelector={}", fields.join("%2C"))
            }
            None => part.to_owned(),
        })
        .collect();
    parts.sort_unstable();
    format!("{path}?{}", parts.join("&"))
}

fn answer(asked: &Asked, source: &mut Source) -> Value {
    let key = key(&whole_line(asked));
    match source {
        Source::Proxy(proxy) => {
            let answer = forward(asked, proxy);
            let mut entry = answer.clone();
            entry["request"] = key.into();
            proxy.kept.push(entry);
            answer
        }
        Source::Recording(answers, unknown) => {
            let queue = answers.get_mut(&key).filter(|q| !q.is_empty());
            let Some(queue) = queue else {
                unknown.push(key);
                return json!({"status": 500, "body": "not recorded"});
            };
            // The last answer stays, for those who ask once more than kubectl did.
            if queue.len() > 1 {
                queue.pop_front().unwrap_or_default()
            } else {
                queue[0].clone()
            }
        }
    }
}

/// Recordings are texts: kubectl takes JSON where it would rather have protobuf.
fn in_text(header: &str, value: String) -> String {
    if header == "accept" {
        return value.replace("application/vnd.kubernetes.protobuf", "application/json");
    }
    value
}

/// Asks the real server, through `kubectl proxy`.
fn forward(asked: &Asked, proxy: &mut Proxy) -> Value {
    let mut stream = TcpStream::connect(&proxy.address).expect("kubectl proxy listens");
    let mut text = format!("{} HTTP/1.0\r\nHost: localhost\r\n", asked.line);
    for name in ["accept", "content-type"] {
        if let Some(value) = header(&asked.head, name) {
            text.push_str(&format!("{name}: {}\r\n", in_text(name, value)));
        }
    }
    for header in asked.head.iter().filter(|line| is_impersonation(line)) {
        text.push_str(&format!("{header}\r\n"));
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n", asked.body.len()));
    stream.write_all(text.as_bytes()).expect("the proxy reads");
    stream.write_all(&asked.body).expect("the proxy reads");
    let endless = asked.line.contains("watch=true");
    if endless {
        // What comes in the first second is kept.
        let wait = Some(Duration::from_secs(1));
        stream.set_read_timeout(wait).expect("a time above zero");
    }
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("the proxy answers");
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    if endless {
        for line in std::mem::take(&mut proxy.meanwhile) {
            change(&line, &proxy.address);
        }
    }
    let mut body = Vec::new();
    let ended = reader.read_to_end(&mut body);
    assert!(
        endless || ended.is_ok(),
        "the answer of {} is cut off",
        asked.line
    );
    let status: u64 = lines[0]
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .expect("an HTTP status");
    json!({"status": status, "type": header(&lines, "content-type"), "body": String::from_utf8_lossy(&body)})
}

/// Runs the real kubectl on the real server, for something that a watch is to see.
fn change(line: &str, address: &str) {
    let status = Command::new(kubectl())
        .args(line.split(' '))
        .args(["--server", &format!("http://{address}")])
        .current_dir(folder("files"))
        .stdout(Stdio::null())
        .status();
    assert!(status.is_ok_and(|s| s.success()), "{line} fails");
}

/// Whether goldens are to be recorded again.
pub(crate) fn recording() -> bool {
    std::env::var_os("UPDATE_GOLDENS").is_some() && std::env::var_os("KUBECTL").is_some()
}

/// The real kubectl.
pub(crate) fn kubectl() -> PathBuf {
    PathBuf::from(std::env::var_os("KUBECTL").expect("goldens are recorded only when it is set"))
}

/// A command line, and those that are run while it watches.
fn parts(command: &str) -> (&str, Vec<String>) {
    let mut parts = command.split(" && ");
    let first = parts.next().unwrap_or_default();
    (first, parts.map(str::to_owned).collect())
}

/// What a program did.
fn run(program: &Path, line: &str, server: &Server, home: &Path) -> Value {
    let kubeconfig = home.join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: 'http://{}'}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{}}}}]\n",
        server.address
    );
    fs::write(&kubeconfig, text).expect("a temporary folder can be written");
    let output = Command::new(program)
        .args(line.split(' '))
        .current_dir(folder("files"))
        .env("KUBECONFIG", &kubeconfig)
        .env("HOME", home)
        .env_remove("KUBERNETES_SERVICE_HOST")
        .output()
        .expect("the program starts");
    let clean = |bytes: &[u8]| told(bytes).replace(&server.address, "SERVER");
    json!({"code": output.status.code(), "stdout": clean(&output.stdout), "stderr": clean(&output.stderr)})
}

/// What a program has said, in words that are the same for both.
pub(crate) fn told(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes)
        .replace("kubectl ", "ctl ")
        .replace("\"kubectl\"", "\"ctl\"");
    // Go's log lines carry times and process numbers; they are no messages.
    text.lines()
        .filter(|l| !is_log(l))
        .map(|l| format!("{l}\n"))
        .collect()
}

fn is_log(line: &str) -> bool {
    let bytes = line.as_bytes();
    bytes.len() > 5 && b"EWI".contains(&bytes[0]) && bytes[1..5].iter().all(u8::is_ascii_digit)
}

/// Replays a scenario, or records it when `UPDATE_GOLDENS` is set.
pub(crate) fn scenario(name: &str) {
    let listed = fs::read_to_string(folder("scenarios").join(format!("{name}.txt")))
        .expect("the scenario is there");
    let commands: Vec<&str> = listed
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .collect();
    let golden = folder("goldens").join(format!("{name}.json"));
    let server = Server::start();
    if recording() {
        record(&commands, &golden, &server);
    }
    let recorded: Vec<Value> =
        serde_json::from_slice(&fs::read(&golden).expect("the golden is recorded"))
            .expect("it is JSON");
    assert_eq!(
        recorded.len(),
        commands.len(),
        "{name} has changed: record it again"
    );
    let mut wrong = Vec::new();
    for (command, golden) in commands.iter().zip(&recorded) {
        assert_eq!(
            golden["command"], *command,
            "{name} has changed: record it again"
        );
        let mut answers: BTreeMap<String, VecDeque<Value>> = BTreeMap::new();
        for exchange in golden["exchanges"].as_array().into_iter().flatten() {
            let key = key(exchange["request"].as_str().unwrap_or_default());
            answers
                .entry(key)
                .or_default()
                .push_back(with_discovery(exchange));
        }
        server.set(Source::Recording(answers, Vec::new()));
        let home = tempfile::tempdir().expect("a temporary folder");
        let got = run(
            &tests::programs::path("ctl"),
            parts(command).0,
            &server,
            home.path(),
        );
        let Source::Recording(_, unknown) =
            server.set(Source::Recording(BTreeMap::new(), Vec::new()))
        else {
            continue;
        };
        if got != golden["output"] || !unknown.is_empty() {
            wrong.push(difference(command, &golden["output"], &got, &unknown));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ\n{}",
        wrong.len(),
        commands.len(),
        wrong.join("\n")
    );
}

pub(crate) fn difference(
    command: &str,
    expected: &Value,
    got: &Value,
    unknown: &[String],
) -> String {
    let mut text = format!("== ctl {command}\n");
    for part in ["code", "stdout", "stderr"] {
        if expected[part] != got[part] {
            let show = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
            text.push_str(&format!(
                "-- {part}, kubectl:\n{}\n-- {part}, ctl:\n{}\n",
                show(&expected[part]),
                show(&got[part])
            ));
        }
    }
    for (name, wanted) in expected["files"].as_object().into_iter().flatten() {
        if got["files"][name] != *wanted {
            let text_of = |v: &Value| v.as_str().unwrap_or("(as it was)").to_owned();
            text.push_str(&format!(
                "-- {name}, kubectl:\n{}\n-- {name}, ctl:\n{}\n",
                text_of(wanted),
                text_of(&got["files"][name])
            ));
        }
    }
    for name in got["files"].as_object().into_iter().flat_map(|f| f.keys()) {
        if expected["files"].get(name).is_none() {
            text.push_str(&format!("-- kubectl did not change: {name}\n"));
        }
    }
    for key in unknown {
        text.push_str(&format!("-- kubectl did not ask: {key}\n"));
    }
    text
}

/// The two large answers of discovery are kept once, in a file of their own.
fn with_discovery(exchange: &Value) -> Value {
    let Some(name) = exchange["file"].as_str() else {
        return exchange.clone();
    };
    let mut whole = exchange.clone();
    let body = fs::read_to_string(folder("goldens").join(name)).expect("discovery is recorded");
    whole["body"] = body.into();
    whole
}

/// Whether a request is for the kinds of one version of a group: `/api/v1`, `/apis/apps/v1`.
fn is_one_version(request: &str) -> bool {
    let path = request
        .strip_prefix("GET /")
        .and_then(|r| r.strip_suffix('?'));
    let parts: Vec<&str> = path.unwrap_or_default().split('/').collect();
    matches!(parts.as_slice(), ["api", _] | ["apis", _, _])
}

fn record(commands: &[&str], golden: &Path, server: &Server) {
    let address =
        std::env::var("KUBECTL_PROXY").expect("KUBECTL_PROXY names the address of `kubectl proxy`");
    let mut recorded = Vec::new();
    for command in commands {
        let (line, meanwhile) = parts(command);
        server.set(Source::Proxy(Proxy {
            address: address.clone(),
            meanwhile,
            kept: Vec::new(),
        }));
        let home = tempfile::tempdir().expect("a temporary folder");
        let output = run(&kubectl(), line, server, home.path());
        let Source::Proxy(Proxy { mut kept, .. }) =
            server.set(Source::Recording(BTreeMap::new(), Vec::new()))
        else {
            continue;
        };
        // The schema is something that ctl knows without asking, and the kinds of one version as well
        // when it knows those of all.
        kept.retain(|e| {
            !e["request"]
                .as_str()
                .is_some_and(|r| r.starts_with("GET /openapi") || is_one_version(r))
        });
        for exchange in &mut kept {
            let file = match exchange["request"].as_str() {
                Some("GET /api?") => "discovery-api.json",
                Some("GET /apis?") => "discovery-apis.json",
                _ => continue,
            };
            let body = exchange["body"].take();
            fs::write(
                folder("goldens").join(file),
                body.as_str().unwrap_or_default(),
            )
            .expect("goldens can be written");
            exchange["file"] = file.into();
        }
        recorded.push(json!({"command": command, "output": output, "exchanges": kept}));
    }
    let text = serde_json::to_string_pretty(&recorded).expect("JSON");
    fs::write(golden, text + "\n").expect("goldens can be written");
}
