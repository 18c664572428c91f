//! The containers and volumes of a spec, as descriptions show them.

use serde_json::Value;

use super::describe_env::environment;
use crate::kinds::description::{Description, date};
use crate::kinds::read::{entries, flag, has, int, items, text, texts};
use crate::kinds::selectors;

/// Adds the template of a workload.
pub(crate) fn template(out: &mut Description, template: &Value) {
    let spec = &template["spec"];
    let metadata = &template["metadata"];
    out.line(0, "Pod Template:");
    out.labels("  Labels", metadata, "labels");
    if entries(metadata, "annotations").next().is_some() {
        out.annotations("  Annotations", metadata);
    }
    let account = text(spec, "serviceAccountName");
    if !account.is_empty() {
        out.field(1, "Service Account", account);
    }
    if !items(spec, "initContainers").is_empty() {
        containers(out, template, "Init Containers", "initContainers", "  ");
    }
    containers(out, template, "Containers", "containers", "  ");
    volumes(out, spec, "  ");
    spread(out, spec, "  ");
    let class = text(spec, "priorityClassName");
    if !class.is_empty() {
        out.field(1, "Priority Class Name", class);
    }
    out.labels("  Node-Selectors", spec, "nodeSelector");
    out.list("  Tolerations", &tolerations(spec));
}

/// Adds a list of containers, with their statuses where there are any.
pub(crate) fn containers(out: &mut Description, pod: &Value, title: &str, list: &str, space: &str) {
    let list_of = items(&pod["spec"], list);
    let none = if list_of.is_empty() { " <none>" } else { "" };
    out.line(0, &format!("{space}{title}:{none}"));
    let statuses = match list {
        "initContainers" => "initContainerStatuses",
        "ephemeralContainers" => "ephemeralContainerStatuses",
        _ => "containerStatuses",
    };
    let indent = if space.is_empty() { "" } else { " " };
    for container in list_of {
        let name = text(container, "name");
        let status = items(&pod["status"], statuses)
            .iter()
            .rev()
            .find(|s| text(s, "name") == name);
        out.line(1, &format!("{indent}{name}:"));
        basics(out, container, status);
        for (title, field) in [("Command", "command"), ("Args", "args")] {
            command(out, container, title, field);
        }
        if let Some(status) = status {
            state(out, "State", &status["state"]);
            if has(&status["lastState"], "terminated") {
                state(out, "Last State", &status["lastState"]);
            }
            let ready = if flag(status, "ready") {
                "True"
            } else {
                "False"
            };
            out.field(2, "Ready", ready);
            let restarts = int(status, "restartCount").unwrap_or(0);
            out.field(2, "Restart Count", restarts);
        }
        resources(out, &container["resources"], 2);
        for (title, field) in [
            ("Liveness", "livenessProbe"),
            ("Readiness", "readinessProbe"),
            ("Startup", "startupProbe"),
        ] {
            if has(container, field) {
                out.field(2, title, probe(&container[field]));
            }
        }
        // A template is not a pod yet: what its variables will show is not known.
        let pod = (space.is_empty()).then_some(pod);
        environment(out, container, pod);
        mounts(out, container);
    }
}

fn basics(out: &mut Description, container: &Value, status: Option<&Value>) {
    if let Some(status) = status {
        out.field(2, "Container ID", text(status, "containerID"));
    }
    out.field(2, "Image", text(container, "image"));
    if let Some(status) = status {
        out.field(2, "Image ID", text(status, "imageID"));
    }
    for (title, field) in [("Port", "containerPort"), ("Host Port", "hostPort")] {
        let ports: Vec<String> = items(container, "ports")
            .iter()
            .map(|port| {
                let number = int(port, field).unwrap_or(0);
                let shown = format!("{number}/{}", text(port, "protocol"));
                match text(port, "name") {
                    "" => shown,
                    name => format!("{shown} ({name})"),
                }
            })
            .collect();
        match ports.as_slice() {
            [] => out.field(2, title, "<none>"),
            [one] => out.field(2, title, one),
            many => out.field(2, &format!("{title}s"), many.join(", ")),
        }
    }
    seccomp(out, &container["securityContext"], 2, 3);
}

/// Adds the seccomp profile of a security context, if it has one.
pub(crate) fn seccomp(out: &mut Description, context: &Value, level: usize, nested: usize) {
    let profile = &context["seccompProfile"];
    if profile.is_null() {
        return;
    }
    out.field(level, "SeccompProfile", text(profile, "type"));
    if text(profile, "type") == "Localhost" {
        let path = text(profile, "localhostProfile");
        out.field(nested, "LocalhostProfile", path);
    }
}

fn command(out: &mut Description, container: &Value, title: &str, field: &str) {
    let words = texts(container, field);
    if words.is_empty() {
        return;
    }
    out.line(2, &format!("{title}:"));
    for line in words.iter().flat_map(|word| word.split('\n')) {
        out.line(3, line);
    }
}

fn state(out: &mut Description, title: &str, state: &Value) {
    let (running, end) = (&state["running"], &state["terminated"]);
    if running.is_object() {
        out.field(2, title, "Running");
        out.field(3, "Started", date(text(running, "startedAt")));
    } else if end.is_object() && !state["waiting"].is_object() {
        out.field(2, title, "Terminated");
        for (title, field) in [("Reason", "reason"), ("Message", "message")] {
            if !text(end, field).is_empty() {
                out.field(3, title, text(end, field));
            }
        }
        out.field(3, "Exit Code", int(end, "exitCode").unwrap_or(0));
        if let Some(signal) = int(end, "signal").filter(|s| *s > 0) {
            out.field(3, "Signal", signal);
        }
        out.field(3, "Started", date(text(end, "startedAt")));
        out.field(3, "Finished", date(text(end, "finishedAt")));
    } else {
        out.field(2, title, "Waiting");
        let reason = text(&state["waiting"], "reason");
        if !reason.is_empty() {
            out.field(3, "Reason", reason);
        }
    }
}

/// Adds limits and requests.
pub(crate) fn resources(out: &mut Description, resources: &Value, level: usize) {
    for (title, field) in [("Limits", "limits"), ("Requests", "requests")] {
        if entries(resources, field).next().is_some() {
            out.line(level, &format!("{title}:"));
        }
        for (name, amount) in entries(resources, field) {
            out.field(level + 1, name, amount.as_str().unwrap_or_default());
        }
    }
}

fn probe(probe: &Value) -> String {
    let number = |field: &str| int(probe, field).unwrap_or(0);
    let rest = format!(
        "delay={}s timeout={}s period={}s successThreshold={} failureThreshold={}",
        number("initialDelaySeconds"),
        number("timeoutSeconds"),
        number("periodSeconds"),
        number("successThreshold"),
        number("failureThreshold"),
    );
    let port = |action: &Value| match &action["port"] {
        Value::String(name) => name.clone(),
        other => other.to_string(),
    };
    if has(probe, "exec") {
        let words = texts(&probe["exec"], "command").join(" ");
        return format!("exec [{words}] {rest}");
    }
    let http = &probe["httpGet"];
    if http.is_object() {
        let scheme = text(http, "scheme").to_lowercase();
        let mut host = text(http, "host").to_owned();
        if host.contains(':') {
            host = format!("[{host}]");
        }
        let port = port(http);
        return format!(
            "http-get {scheme}://{host}:{port}{} {rest}",
            text(http, "path")
        );
    }
    let tcp = &probe["tcpSocket"];
    if tcp.is_object() {
        return format!("tcp-socket {}:{} {rest}", text(tcp, "host"), port(tcp));
    }
    let grpc = &probe["grpc"];
    if grpc.is_object() {
        return format!("grpc <pod>:{} {} {rest}", port(grpc), text(grpc, "service"));
    }
    format!("unknown {rest}")
}

fn mounts(out: &mut Description, container: &Value) {
    let mut mounts: Vec<&Value> = items(container, "volumeMounts").iter().collect();
    mounts.sort_by_key(|m| text(m, "mountPath"));
    let none = if mounts.is_empty() { "\t<none>" } else { "" };
    out.line(2, &format!("Mounts:{none}"));
    for mount in mounts {
        let mut flags = if flag(mount, "readOnly") { "ro" } else { "rw" }.to_owned();
        let path = text(mount, "subPath");
        if !path.is_empty() {
            flags.push_str(&format!(",path={path:?}"));
        }
        let (target, name) = (text(mount, "mountPath"), text(mount, "name"));
        out.line(3, &format!("{target} from {name} ({flags})"));
    }
    let mut devices: Vec<&Value> = items(container, "volumeDevices").iter().collect();
    devices.sort_by_key(|d| text(d, "devicePath"));
    if !devices.is_empty() {
        out.line(2, &format!("Devices:{none}"));
    }
    for device in devices {
        let (target, name) = (text(device, "devicePath"), text(device, "name"));
        out.line(3, &format!("{target} from {name}"));
    }
}

/// Adds the volumes.
pub(crate) fn volumes(out: &mut Description, spec: &Value, space: &str) {
    let volumes = items(spec, "volumes");
    if volumes.is_empty() {
        return out.line(0, &format!("{space}Volumes:\t<none>"));
    }
    out.line(0, &format!("{space}Volumes:"));
    let indent = if space.is_empty() { "" } else { " " };
    for volume in volumes {
        out.line(1, &format!("{indent}{}:", text(volume, "name")));
        self::volume(out, volume);
    }
}

fn volume(out: &mut Description, volume: &Value) {
    let optional = |source: &Value| flag(source, "optional").to_string();
    let source = |field: &str| Some(&volume[field]).filter(|v| v.is_object());
    let own = |source: &Value, field: &str| text(source, field).to_owned();
    let (kind, fields): (&str, Vec<(&str, String)>) = if let Some(path) = source("hostPath") {
        let kind = "HostPath (bare host directory volume)";
        (
            kind,
            vec![
                ("Path", own(path, "path")),
                ("HostPathType", own(path, "type")),
            ],
        )
    } else if let Some(empty) = source("emptyDir") {
        let limit = match text(empty, "sizeLimit") {
            "" | "0" => "<unset>",
            limit => limit,
        };
        let kind = "EmptyDir (a temporary directory that shares a pod's lifetime)";
        (
            kind,
            vec![
                ("Medium", own(empty, "medium")),
                ("SizeLimit", limit.to_owned()),
            ],
        )
    } else if let Some(secret) = source("secret") {
        let name = own(secret, "secretName");
        let fields = vec![("SecretName", name), ("Optional", optional(secret))];
        ("Secret (a volume populated by a Secret)", fields)
    } else if let Some(map) = source("configMap") {
        let fields = vec![("Name", own(map, "name")), ("Optional", optional(map))];
        ("ConfigMap (a volume populated by a ConfigMap)", fields)
    } else if let Some(nfs) = source("nfs") {
        let kind = "NFS (an NFS mount that lasts the lifetime of a pod)";
        let fields = vec![
            ("Server", own(nfs, "server")),
            ("Path", own(nfs, "path")),
            ("ReadOnly", flag(nfs, "readOnly").to_string()),
        ];
        (kind, fields)
    } else if let Some(claim) = source("persistentVolumeClaim") {
        let kind =
            "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)";
        let fields = vec![
            ("ClaimName", own(claim, "claimName")),
            ("ReadOnly", flag(claim, "readOnly").to_string()),
        ];
        (kind, fields)
    } else if let Some(image) = source("image") {
        let fields = vec![
            ("Reference", own(image, "reference")),
            ("PullPolicy", own(image, "pullPolicy")),
        ];
        ("Image (a container image or OCI artifact)", fields)
    } else if let Some(fields) = source("downwardAPI") {
        return downward(out, fields);
    } else if let Some(all) = source("projected") {
        return projected(out, all);
    } else {
        return out.line(1, "<unknown>");
    };
    out.field(2, "Type", kind);
    for (name, value) in fields {
        out.field(2, name, value);
    }
}

fn downward(out: &mut Description, source: &Value) {
    let kind = "DownwardAPI (a volume populated by information about the pod)";
    out.field(2, "Type", kind);
    out.line(2, "Items:");
    for item in items(source, "items") {
        let path = text(item, "path");
        if has(item, "fieldRef") {
            let field = text(&item["fieldRef"], "fieldPath");
            out.line(3, &format!("{field} -> {path}"));
        }
        if has(item, "resourceFieldRef") {
            let resource = text(&item["resourceFieldRef"], "resource");
            out.line(3, &format!("{resource} -> {path}"));
        }
    }
}

fn projected(out: &mut Description, volume: &Value) {
    let kind = "Projected (a volume that contains injected data from multiple sources)";
    out.field(2, "Type", kind);
    for source in items(volume, "sources") {
        if has(source, "secret") {
            let secret = &source["secret"];
            out.field(2, "SecretName", text(secret, "name"));
            out.field(2, "Optional", flag(secret, "optional"));
        } else if has(source, "downwardAPI") {
            out.field(2, "DownwardAPI", true);
        } else if has(source, "configMap") {
            let map = &source["configMap"];
            out.field(2, "ConfigMapName", text(map, "name"));
            out.field(2, "Optional", flag(map, "optional"));
        } else if has(source, "serviceAccountToken") {
            let token = &source["serviceAccountToken"];
            let seconds = int(token, "expirationSeconds").unwrap_or(0);
            out.field(2, "TokenExpirationSeconds", seconds);
        }
    }
}

/// The taints that a spec tolerates, a line each.
pub(crate) fn tolerations(spec: &Value) -> Vec<String> {
    let mut all: Vec<&Value> = items(spec, "tolerations").iter().collect();
    all.sort_by_key(|t| text(t, "key"));
    all.into_iter().map(toleration).collect()
}

fn toleration(toleration: &Value) -> String {
    let (value, effect) = (text(toleration, "value"), text(toleration, "effect"));
    let mut line = text(toleration, "key").to_owned();
    if !value.is_empty() {
        line.push_str(&format!("={value}"));
    }
    if !effect.is_empty() {
        line.push_str(&format!(":{effect}"));
    }
    if text(toleration, "operator") == "Exists" && value.is_empty() {
        line.push_str(if line.is_empty() {
            "op=Exists"
        } else {
            " op=Exists"
        });
    }
    if let Some(seconds) = int(toleration, "tolerationSeconds") {
        line.push_str(&format!(" for {seconds}s"));
    }
    line
}

/// Adds how pods are spread, if the spec says so.
pub(crate) fn spread(out: &mut Description, spec: &Value, space: &str) {
    let mut all: Vec<&Value> = items(spec, "topologySpreadConstraints").iter().collect();
    if all.is_empty() {
        return;
    }
    all.sort_by_key(|c| text(c, "topologyKey"));
    let lines: Vec<String> = all
        .into_iter()
        .map(|constraint| {
            let selector = match &constraint["labelSelector"] {
                Value::Null => String::new(),
                selector => format!(" for selector {}", selectors::formatted(selector)),
            };
            format!(
                "{}:{} when max skew {} is exceeded{selector}",
                text(constraint, "topologyKey"),
                text(constraint, "whenUnsatisfiable"),
                int(constraint, "maxSkew").unwrap_or(0),
            )
        })
        .collect();
    out.put(&format!("{space}Topology Spread Constraints:\t"));
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            out.put(&format!("{space}\t"));
        }
        out.line(0, line);
    }
}
