//! Tests of strategic merge patches.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::schema::of;

fn schema(kind: &str) -> &'static Schema {
    of(&format!("io.k8s.api.{kind}")).expect("a schema")
}

fn patched(original: Value, patch: Value) -> Value {
    apply(schema("core.v1.Pod"), &original, &patch).expect("a patch that applies")
}

/// Each line of the file holds an original and a patch, or the three sides of an apply, and what
/// Kubernetes 1.37 makes of them.
#[test]
fn recorded_patches_of_deployments_give_what_kubernetes_gives() {
    let schema = schema("apps.v1.Deployment");
    for line in include_str!("testdata/deployments.jsonl").lines() {
        let case: Value = serde_json::from_str(line).expect("JSON");
        let result = match case.get("patch") {
            Some(patch) => apply(schema, &case["original"], patch),
            None => three_way(
                schema,
                &case["original"],
                &case["modified"],
                &case["current"],
            ),
        };
        assert_eq!(result.as_ref(), Ok(&case["result"]), "{line}");
    }
}

#[test]
fn lists_merge_by_their_key_and_others_are_replaced() {
    let pod = json!({"spec": {"containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b"}]}});
    let patch = json!({"spec": {"containers": [{"name": "c"}, {"name": "a", "args": ["y"]}]}});
    assert_eq!(
        patched(pod, patch),
        json!({"spec": {"containers": [
            {"name": "c"}, {"name": "a", "image": "1", "args": ["y"]}, {"name": "b"}]}})
    );
}

#[test]
fn directives_delete_replace_retain_and_order() {
    let pod = || {
        json!({"metadata": {"finalizers": ["x", "y"]}, "spec": {
            "containers": [{"name": "a"}, {"name": "b"}],
            "volumes": [{"name": "v", "emptyDir": {}}], "securityContext": {"runAsUser": 1}}})
    };
    let spec = |patch: Value| patched(pod(), json!({ "spec": patch }))["spec"].clone();
    assert_eq!(
        spec(json!({"containers": [{"name": "a", "$patch": "delete"}]}))["containers"],
        json!([{"name": "b"}])
    );
    assert_eq!(
        spec(json!({"containers": [{"name": "c"}, {"$patch": "replace"}]}))["containers"],
        json!([{"name": "c"}])
    );
    assert_eq!(
        spec(json!({"securityContext": {"$patch": "replace", "runAsGroup": 2}}))["securityContext"],
        json!({"runAsGroup": 2})
    );
    assert_eq!(
        spec(json!({"securityContext": {"$patch": "delete"}}))["securityContext"],
        json!({})
    );
    assert_eq!(
        spec(
            json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}, "$retainKeys": ["name", "hostPath"]}]})
        )["volumes"],
        json!([{"name": "v", "hostPath": {"path": "/"}}])
    );
    assert_eq!(
        spec(json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}))["containers"],
        json!([{"name": "b"}, {"name": "a"}])
    );
    let shorter = patched(
        pod(),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["x"]}}),
    );
    assert_eq!(shorter["metadata"]["finalizers"], json!(["y"]));
}

#[test]
fn malformed_patches_are_refused_in_kubernetes_words() {
    let pod = json!({"spec": {"containers": [{"name": "a"}], "volumes": [{"name": "v", "emptyDir": {}}]}});
    let error =
        |patch: Value| apply(schema("core.v1.Pod"), &pod, &patch).map_err(|e| e.to_string());
    assert_eq!(error(json!([])), Err("invalid JSON document".to_owned()));
    assert_eq!(
        error(json!({"spec": {"containers": [{"image": "x"}]}})),
        Err("map: map[image:x] does not contain declared merge key: name".to_owned())
    );
    assert_eq!(
        error(json!({"spec": {"$patch": "nope"}})),
        Err("unknown patch type: nope in map: map[$patch:nope]".to_owned())
    );
    assert_eq!(
        error(
            json!({"spec": {"volumes": [{"name": "v", "hostPath": {}, "$retainKeys": ["name"]}]}})
        ),
        Err("invalid patch format of retainKeys".to_owned())
    );
    assert_eq!(
        error(json!({"spec": {"$setElementOrder/containers": "x"}})),
        Err("expected a slice, but received a string".to_owned())
    );
}

#[test]
fn an_apply_removes_what_it_had_set_and_keeps_what_others_set() {
    let deployment = |env: Value, replicas: Value| {
        json!({"spec": {"replicas": replicas, "template": {"spec": {
            "containers": [{"name": "web", "env": env}]}}}})
    };
    let original = deployment(
        json!([{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]),
        json!(2),
    );
    let modified = deployment(json!([{"name": "A", "value": "2"}]), Value::Null);
    let current = deployment(
        json!([{"name": "A", "value": "1"}, {"name": "B", "value": "1"},
            {"name": "Z", "value": "server"}]),
        json!(5),
    );
    let schema = schema("apps.v1.Deployment");
    let patch = three_way(schema, &original, &modified, &current).expect("a patch");
    assert_eq!(
        patch["spec"]["template"]["spec"]["containers"][0]["env"],
        json!([{"name": "A", "value": "2"}, {"$patch": "delete", "name": "B"}])
    );
    let applied = apply(schema, &current, &patch).expect("a patch that applies");
    assert_eq!(
        applied["spec"]["template"]["spec"]["containers"][0]["env"],
        json!([{"name": "A", "value": "2"}, {"name": "Z", "value": "server"}])
    );
}

/// Pods whose containers have distinct names, in any order.
fn any_pod() -> impl Strategy<Value = Value> {
    let env = prop::collection::btree_map("[A-C]", "[12]", 0..3);
    let entry = (prop::option::of("[xyz]"), env);
    let containers = prop::collection::btree_map("[a-d]", entry, 1..4);
    let containers = containers.prop_map(|map| map.into_iter().collect::<Vec<_>>());
    let deadline = prop::option::of(0i64..3);
    (containers.prop_shuffle(), deadline).prop_map(|(containers, deadline)| {
        let mut list = Vec::new();
        for (name, (image, env)) in containers {
            let env: Vec<Value> = env
                .iter()
                .map(|(k, v)| json!({"name": k, "value": v}))
                .collect();
            let mut container = json!({"name": name});
            if let Some(image) = image {
                container["image"] = image.into();
            }
            if !env.is_empty() {
                container["env"] = env.into();
            }
            list.push(container);
        }
        let mut spec = json!({ "containers": list });
        if let Some(deadline) = deadline {
            spec["activeDeadlineSeconds"] = deadline.into();
        }
        json!({ "spec": spec })
    })
}

proptest! {
    #[test]
    fn a_two_way_patch_leads_from_one_pod_to_the_other(from in any_pod(), to in any_pod()) {
        let schema = schema("core.v1.Pod");
        let patch = two_way(schema, &from, &to).expect("a patch");
        let mut result = apply(schema, &from, &patch).expect("a patch that applies");
        // A field with an empty list is gone once the server decodes the result.
        for container in result["spec"]["containers"].as_array_mut().into_iter().flatten() {
            if container["env"] == json!([]) {
                container.as_object_mut().map(|c| c.remove("env"));
            }
        }
        prop_assert_eq!(result, to);
    }

    #[test]
    fn applying_the_same_configuration_again_asks_for_nothing(pod in any_pod()) {
        let schema = schema("core.v1.Pod");
        prop_assert_eq!(three_way(schema, &pod, &pod, &pod), Ok(json!({})));
    }
}
