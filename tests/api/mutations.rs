//! Objects that are spoilt at random: whatever comes, the server answers, and never that it is its fault.
//!
//! The same seed spoils the same way, so that a failure can be looked at again.

use reqwest::Method;
use serde_json::{Value, json};
use tests::cluster::Cluster;
use tests::http::Api;

const REQUESTS: usize = 1_500;
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// xorshift64*: enough to choose with.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let mixed = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d);
        usize::try_from(mixed >> 33).expect("31 bits fit") % limit
    }

    fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

/// What takes the place of a value that is right.
fn wrong_values() -> Vec<Value> {
    let mut values: Vec<Value> = [
        "",
        "a",
        "A B",
        "\0",
        "\u{1f600}",
        "1Gi",
        "-5m",
        "25%",
        "101%",
        "1e999",
        "NaN",
        "true",
        "2020-13-01T00:00:00Z",
        "../..",
        "1.2.3.4/99",
        "*",
        "$patch",
        "delete",
    ]
    .map(Value::from)
    .into();
    values.push("x".repeat(300).into());
    values.extend([i64::MIN, -1, 0, 1, i64::from(i32::MAX) + 1, i64::MAX].map(Value::from));
    values.extend([
        u64::MAX.into(),
        1.5.into(),
        1e308.into(),
        true.into(),
        Value::Null,
    ]);
    values.extend([
        json!([]),
        json!([null]),
        json!([1]),
        json!({}),
        json!({"": ""}),
    ]);
    values.push(json!({"a": {"b": {"c": null}}}));
    values
}

/// Goes to a random place in a value and changes, removes, repeats or adds something.
fn spoil(value: &mut Value, random: &mut Random, wrong: &[Value]) {
    let deeper = random.below(4) > 0;
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let names: Vec<String> = fields.keys().cloned().collect();
            let name = random.of(&names).clone();
            let inside = &mut fields[&name];
            match (
                deeper && (inside.is_object() || inside.is_array()),
                random.below(8),
            ) {
                (true, _) => spoil(inside, random, wrong),
                (false, 0) => drop(fields.remove(&name)),
                (false, 1) => {
                    let names = ["$patch", "$retainKeys", "unknown", ""];
                    let name = (*random.of(&names)).to_owned();
                    fields.insert(name, random.of(wrong).clone());
                }
                (false, _) => *inside = random.of(wrong).clone(),
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let index = random.below(items.len());
            match (deeper, random.below(4)) {
                (true, _) => spoil(&mut items[index], random, wrong),
                (false, 0) => items.push(items[index].clone()),
                (false, _) => items[index] = random.of(wrong).clone(),
            }
        }
        other => *other = random.of(wrong).clone(),
    }
}

/// Objects that are right, with where they are.
fn objects() -> Vec<(&'static str, Value)> {
    let pod = json!({
        "nodeSelector": {"a": "b"},
        "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}],
        }}},
        "volumes": [
            {"name": "v", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "c", "configMap": {"name": "x", "items": [{"key": "a", "path": "b", "mode": 420}]}},
            {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        ],
        "containers": [{
            "name": "c", "image": "x",
            "env": [{"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "ports": [{"containerPort": 80, "name": "http"}],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}},
            "livenessProbe": {"httpGet": {"path": "/", "port": "http"}},
            "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "x"}],
            "securityContext": {"runAsUser": 1, "capabilities": {"add": ["NET_ADMIN"]}},
        }],
    });
    let core = |kind: &str, rest: Value| {
        let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "one"}});
        for (field, value) in rest.as_object().expect("fields") {
            object[field] = value.clone();
        }
        object
    };
    let mut deployment = core(
        "Deployment",
        json!({"spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"a": "b"}},
            "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod},
        }}),
    );
    deployment["apiVersion"] = json!("apps/v1");
    let mut role = core(
        "Role",
        json!({"rules": [
            {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]},
        ]}),
    );
    role["apiVersion"] = json!("rbac.authorization.k8s.io/v1");
    vec![
        (
            "/api/v1/namespaces/default/pods",
            core("Pod", json!({"spec": pod})),
        ),
        ("/apis/apps/v1/namespaces/default/deployments", deployment),
        (
            "/api/v1/namespaces/default/secrets",
            core(
                "Secret",
                json!({"data": {"a": "YQ=="}, "stringData": {"b": "c"}, "immutable": false}),
            ),
        ),
        (
            "/api/v1/namespaces/default/configmaps",
            core("ConfigMap", json!({"data": {"a": "b"}})),
        ),
        (
            "/api/v1/nodes",
            core(
                "Node",
                json!({"spec": {"podCIDR": "10.0.0.0/24", "taints": [{"key": "a", "effect": "NoSchedule"}]}}),
            ),
        ),
        (
            "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles",
            role,
        ),
    ]
}

const PATCHES: &[&str] = &[
    "application/strategic-merge-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
];

async fn send(api: &Api, path: &str, body: &Value, random: &mut Random) -> (u16, Value) {
    let options = "dryRun=All&fieldManager=m&fieldValidation";
    let validation = random.of(&["Strict", "Warn", "Ignore"]);
    let request = match random.below(5) {
        0 | 1 => api
            .request(Method::POST, &format!("{path}?{options}={validation}"))
            .json(body),
        2 => api
            .request(Method::PUT, &format!("{path}/one?{options}={validation}"))
            .json(body),
        _ => api
            .request(Method::PATCH, &format!("{path}/one?{options}={validation}"))
            .header("Content-Type", *random.of(PATCHES))
            .body(body.to_string()),
    };
    let answer = api.send(request).await;
    (answer.code, answer.body)
}

#[tokio::test]
async fn an_object_spoilt_at_random_is_never_the_servers_fault() {
    let cluster = Cluster::start(&["--no-worker", "--no-scheduler"]);
    let api = cluster.api();
    tests::pods::default_account(&api).await;
    let (objects, wrong) = (objects(), wrong_values());
    for (path, object) in &objects {
        api.post(path, object).await.expect(201);
    }
    let mut random = Random(SEED);
    for number in 0..REQUESTS {
        let (path, object) = random.of(&objects);
        let mut body = object.clone();
        for _ in 0..=random.below(3) {
            spoil(&mut body, &mut random, &wrong);
        }
        let (code, answer) = send(&api, path, &body, &mut random).await;
        assert!(
            code < 500,
            "request {number} to {path}: {body}\n{code}: {answer:#}"
        );
        let is_status = answer["kind"] == "Status";
        assert!(
            code < 400 || is_status,
            "request {number}: {code}: {answer:#}"
        );
    }
    // All of it was a dry run: what was there is there.
    for (path, object) in &objects {
        let there = api.get(&format!("{path}/one")).await.expect(200);
        assert_eq!(there["kind"], object["kind"]);
    }
    let log = cluster.log();
    assert!(!log.contains("panicked"), "{log}");
}
