//! Create and update: what the server fills in, refuses and warns about.

use serde_json::json;
use tests::cluster::Cluster;

use crate::{MAPS, at, map};

#[tokio::test]
async fn a_created_object_has_an_identity_and_is_found_again() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let created = api.post(MAPS, &map("one", "1")).await.expect(201);
    let meta = &created["metadata"];
    assert_eq!(meta["uid"].as_str().map(str::len), Some(36));
    assert!(
        meta["creationTimestamp"]
            .as_str()
            .is_some_and(|t| t.ends_with('Z'))
    );
    assert!(
        meta["resourceVersion"]
            .as_str()
            .is_some_and(|v| v.parse::<u64>().is_ok())
    );
    assert_eq!(meta["namespace"], "default");
    assert_eq!(api.get(&at("one")).await.expect(200), created);
}

#[tokio::test]
async fn a_name_is_given_once() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    api.post(MAPS, &map("one", "1")).await.expect(201);
    let refused = api.post(MAPS, &map("one", "2")).await.expect(409);
    assert_eq!(refused["reason"], "AlreadyExists");
    assert_eq!(refused["message"], "configmaps \"one\" already exists");
}

#[tokio::test]
async fn generate_name_gives_names_that_differ() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let body = json!({"metadata": {"generateName": "web-"}});
    let first = api.post(MAPS, &body).await.expect(201);
    let second = api.post(MAPS, &body).await.expect(201);
    let name = first["metadata"]["name"].as_str().expect("a name was made");
    assert!(name.starts_with("web-") && name.len() == 9, "{name}");
    assert_ne!(first["metadata"]["name"], second["metadata"]["name"]);
}

#[tokio::test]
async fn an_update_with_a_stale_version_is_a_conflict() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let first = api.post(MAPS, &map("one", "1")).await.expect(201);
    let mut second = first.clone();
    second["data"]["key"] = json!("2");
    api.put(&at("one"), &second).await.expect(200);
    let refused = api.put(&at("one"), &second).await.expect(409);
    assert_eq!(refused["reason"], "Conflict");
    assert_eq!(
        refused["message"],
        "Operation cannot be fulfilled on configmaps \"one\": the object has been modified; \
         please apply your changes to the latest version and try again"
    );
}

#[tokio::test]
async fn an_update_that_changes_nothing_keeps_the_version() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let first = api.post(MAPS, &map("one", "1")).await.expect(201);
    let second = api.put(&at("one"), &first).await.expect(200);
    assert_eq!(
        second["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
}

#[tokio::test]
async fn a_dry_run_answers_like_a_write_and_stores_nothing() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let path = format!("{MAPS}?dryRun=All");
    let answer = api.post(&path, &map("one", "1")).await.expect(201);
    assert!(answer["metadata"]["uid"].is_string());
    api.get(&at("one")).await.expect(404);
}

#[tokio::test]
async fn unknown_fields_are_warned_about_refused_or_ignored_as_asked() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let mut body = map("one", "1");
    body["dataa"] = json!({});
    let warned = api
        .post(&format!("{MAPS}?fieldValidation=Warn"), &body)
        .await;
    assert_eq!(warned.warnings, ["299 - \"unknown field \\\"dataa\\\"\""]);
    assert!(warned.expect(201).get("dataa").is_none());
    let refused = api
        .put(&format!("{}?fieldValidation=Strict", at("one")), &body)
        .await
        .expect(400);
    let message = refused["message"].as_str().expect("a message");
    assert!(
        message.contains("strict decoding error: unknown field \"dataa\""),
        "{message}"
    );
    let ignored = api
        .put(&format!("{}?fieldValidation=Ignore", at("one")), &body)
        .await;
    assert!(ignored.warnings.is_empty());
    ignored.expect(200);
}

#[tokio::test]
async fn all_problems_of_an_object_are_named_at_once() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "Bad_Name"},
        "spec": {"containers": [{"name": "a"}, {"name": "a", "image": "x"}]},
    });
    // Without the default service account, which may take a moment, the pod is refused for that.
    let refused = tests::eventually_async("the problems", tests::PATIENCE, || async {
        let answer = api.post("/api/v1/namespaces/default/pods", &pod).await;
        (answer.code == 422).then_some(answer.body)
    })
    .await;
    assert_eq!(refused["reason"], "Invalid");
    let causes = refused["details"]["causes"].as_array().expect("causes");
    let fields: Vec<&str> = causes
        .iter()
        .filter_map(|cause| cause["field"].as_str())
        .collect();
    for field in [
        "metadata.name",
        "spec.containers[0].image",
        "spec.containers[1].name",
    ] {
        assert!(fields.contains(&field), "{field} is not among {fields:?}");
    }
}

#[tokio::test]
async fn a_pod_gets_the_defaults_of_kubernetes() {
    let cluster = Cluster::start(&["--no-worker", "--no-scheduler"]);
    let api = cluster.api();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "nginx"}]},
    });
    let path = "/api/v1/namespaces/default/pods";
    // The service account controller may take a moment after the start.
    let created =
        tests::eventually_async("the default service account", tests::PATIENCE, || async {
            let answer = api.post(path, &pod).await;
            (answer.code == 201).then_some(answer.body)
        })
        .await;
    let spec = &created["spec"];
    assert_eq!(spec["restartPolicy"], "Always");
    assert_eq!(spec["terminationGracePeriodSeconds"], 30);
    assert_eq!(spec["dnsPolicy"], "ClusterFirst");
    assert_eq!(spec["serviceAccountName"], "default");
    assert_eq!(spec["containers"][0]["imagePullPolicy"], "Always");
    assert_eq!(
        spec["containers"][0]["terminationMessagePath"],
        "/dev/termination-log"
    );
    assert_eq!(created["status"]["phase"], "Pending");
    assert_eq!(created["status"]["qosClass"], "BestEffort");
    let tolerations = spec["tolerations"].as_array().expect("tolerations");
    assert_eq!(tolerations.len(), 2, "{tolerations:?}");
}

#[tokio::test]
async fn an_object_needs_its_namespace() {
    let cluster = Cluster::without_worker();
    let refused = cluster
        .api()
        .post("/api/v1/namespaces/none/configmaps", &map("one", "1"))
        .await;
    assert_eq!(
        refused.expect(404)["message"],
        "namespaces \"none\" not found"
    );
}

#[tokio::test]
async fn the_status_of_a_deployment_is_written_through_its_own_url_only() {
    let cluster = Cluster::start(&["--no-worker", "--no-scheduler"]);
    let api = cluster.api();
    let body = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "paused": true,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "nginx"}]},
            },
        },
        "status": {"replicas": 7},
    });
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let created = api.post(path, &body).await.expect(201);
    assert!(created["status"].get("replicas").is_none());
    assert_eq!(created["metadata"]["generation"], 1);
    let status = json!({"status": {"collisionCount": 3}});
    let patched = api
        .patch(&format!("{path}/web/status"), "merge", &status)
        .await
        .expect(200);
    assert_eq!(patched["status"]["collisionCount"], 3);
    let scale = api.get(&format!("{path}/web/scale")).await.expect(200);
    assert_eq!(scale["kind"], "Scale");
    assert_eq!(scale["spec"]["replicas"], 1);
    assert_eq!(scale["status"]["selector"], "app=web");
}

#[tokio::test]
async fn fields_belong_to_who_set_them_and_not_to_who_completed_them() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let body = json!({"metadata": {"name": "team"}});
    let created = api.post("/api/v1/namespaces", &body).await.expect(201);
    let entry = &created["metadata"]["managedFields"][0];
    assert_eq!(entry["manager"], "unknown");
    let fields = &entry["fieldsV1"];
    assert_eq!(fields.get("f:spec"), None, "{fields:#}");
    assert!(fields["f:metadata"]["f:labels"].is_object(), "{fields:#}");
}

#[tokio::test]
async fn fields_that_are_always_written_belong_to_nobody_until_they_are_set() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";
    let role = json!({"metadata": {"name": "none"}});
    let created = api.post(roles, &role).await.expect(201);
    assert!(created.get("rules").is_some_and(serde_json::Value::is_null));
    assert_eq!(created["metadata"].get("managedFields"), None);
}

#[tokio::test]
async fn nobody_marks_an_object_as_deleted_by_an_update() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let created = api.post(MAPS, &map("one", "1")).await.expect(201);
    for (field, value) in [
        ("deletionTimestamp", json!("2030-01-01T00:00:00Z")),
        ("deletionGracePeriodSeconds", json!(5)),
    ] {
        let mut body = created.clone();
        body["metadata"][field] = value;
        let refused = api.put(&at("one"), &body).await.expect(422);
        let cause = &refused["details"]["causes"][0];
        assert_eq!(cause["field"], format!("metadata.{field}"));
        let message = cause["message"].as_str().expect("a message");
        assert!(message.ends_with("field is immutable"), "{message}");
    }
}

#[tokio::test]
async fn a_problem_of_the_metadata_is_one_cause_of_an_update() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let mut body = api.post(MAPS, &map("one", "1")).await.expect(201);
    body["metadata"]["labels"] = json!({"bad key!": "x"});
    let refused = api.put(&at("one"), &body).await.expect(422);
    let causes = refused["details"]["causes"].as_array().expect("causes");
    assert_eq!(causes.len(), 1, "{causes:#?}");
}

#[tokio::test]
async fn a_pod_that_asks_for_what_is_not_there_is_forbidden() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let pods = "/api/v1/namespaces/default/pods";
    let post = |field: &'static str, value: serde_json::Value| {
        let mut pod = json!({
            "metadata": {"name": "web"},
            "spec": {"containers": [{"name": "a", "image": "a:1"}]},
        });
        pod["spec"][field] = value;
        let api = api.clone();
        async move { api.post(pods, &pod).await }
    };
    let settled = || async { (post("hostname", json!("web")).await.code == 201).then_some(()) };
    tests::eventually_async("pods are taken", tests::PATIENCE, settled).await;
    for (field, value, why) in [
        (
            "runtimeClassName",
            json!("gone"),
            "pod rejected: RuntimeClass \"gone\" not found",
        ),
        (
            "overhead",
            json!({"cpu": "1"}),
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
        ),
        (
            "priority",
            json!(7),
            "the integer value of priority (7) must not be provided in pod spec; priority admission \
             controller computed 0 from the given PriorityClass name",
        ),
        (
            "preemptionPolicy",
            json!("Never"),
            "the string value of PreemptionPolicy (Never) must not be provided in pod spec; priority \
             admission controller computed PreemptLowerPriority from the given PriorityClass name",
        ),
    ] {
        let refused = post(field, value).await.expect(403);
        assert_eq!(
            refused["message"],
            format!("pods \"web\" is forbidden: {why}")
        );
    }
}

#[tokio::test]
async fn a_body_may_be_protobuf() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    // The Namespace `team` with the label `a: b`, as client-go sends it.
    let body = b"k8s\0\n\x0f\n\x02v1\x12\tNamespace\x12\x26\n\x20\n\x04team\x12\0\x1a\0\x22\0*\x002\x008\0B\0\
        Z\x06\n\x01a\x12\x01b\x12\0\x1a\0\x1a\0\x22\0";
    let request = api.request(
        reqwest::Method::POST,
        "/api/v1/namespaces?fieldValidation=Strict",
    );
    let request = request
        .header("Content-Type", "application/vnd.kubernetes.protobuf")
        .header(
            "Accept",
            "application/vnd.kubernetes.protobuf,application/json",
        )
        .body(body.to_vec());
    let created = api.send(request).await.expect(201);
    assert_eq!(created["metadata"]["name"], "team");
    assert_eq!(created["metadata"]["labels"]["a"], "b");
    let request = api.request(reqwest::Method::POST, "/api/v1/namespaces");
    let request = request
        .header("Content-Type", "application/vnd.kubernetes.protobuf")
        .body("{}");
    let refused = api.send(request).await.expect(400);
    let message = refused["message"].as_str().expect("a message");
    assert!(
        message.contains("does not appear to be a protobuf message"),
        "{message}"
    );
}
