//! Tests of server-side apply and of field ownership. The sets were read off kube-apiserver 1.37.

use serde_json::json;

use super::*;
use crate::schema::of;

fn schema(kind: &str) -> &'static Schema {
    of(&format!("io.k8s.api.{kind}")).expect("a schema")
}

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_767_323_045 + second).expect("a time")
}

fn manager(name: &'static str, second: i64) -> Manager<'static> {
    Manager {
        name,
        subresource: "",
        api_version: "apps/v1",
        time: at(second),
        ignored: &["status"],
    }
}

fn deployment() -> &'static Schema {
    schema("apps.v1.Deployment")
}

fn stored() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "e", "namespace": "default", "labels": {"app": "e"}},
        "spec": {"progressDeadlineSeconds": 600, "replicas": 1, "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"app": "e"}},
            "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}, "type": "RollingUpdate"},
            "template": {"metadata": {"labels": {"app": "e"}}, "spec": {
                "containers": [{"image": "x", "imagePullPolicy": "Always", "name": "x",
                    "ports": [{"containerPort": 80, "protocol": "TCP"}], "resources": {}}],
                "dnsPolicy": "ClusterFirst", "securityContext": {}}}},
        "status": {}})
}

fn entry<'a>(object: &'a Value, manager: &str) -> &'a Value {
    let entries = object["metadata"]["managedFields"]
        .as_array()
        .expect("entries");
    entries
        .iter()
        .find(|e| e["manager"] == manager)
        .expect("the manager's entry")
}

fn config(spec: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "e"}, "spec": spec})
}

#[test]
fn a_create_gives_its_manager_every_field() {
    let mut new = stored();
    update(deployment(), None, &mut new, &manager("kubectl-create", 0));
    assert_eq!(
        new["metadata"]["managedFields"],
        json!([{"apiVersion": "apps/v1", "fieldsType": "FieldsV1",
        "manager": "kubectl-create", "operation": "Update", "time": "2026-01-02T03:04:05Z",
        "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {"f:progressDeadlineSeconds": {}, "f:replicas": {}, "f:revisionHistoryLimit": {}, "f:selector": {},
                "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}, "f:type": {}},
                "f:template": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {
                    "f:containers": {"k:{\"name\":\"x\"}": {".": {}, "f:image": {}, "f:imagePullPolicy": {}, "f:name": {},
                        "f:ports": {".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}, "f:protocol": {}}},
                        "f:resources": {}}},
                    "f:dnsPolicy": {}, "f:securityContext": {}}}}}}])
    );
}

#[test]
fn an_update_takes_over_what_it_changes_and_forgets_what_it_removes() {
    let mut old = stored();
    update(deployment(), None, &mut old, &manager("creator", 0));
    old["metadata"]["uid"] = "u".into();
    let mut new = old.clone();
    new["spec"]["template"]["spec"]["containers"][0]["image"] = "y".into();
    new["spec"]
        .as_object_mut()
        .expect("a spec")
        .remove("progressDeadlineSeconds");
    update(deployment(), Some(&old), &mut new, &manager("setter", 1));
    assert_eq!(
        entry(&new, "setter")["fieldsV1"],
        json!({"f:spec": {"f:template": {"f:spec": {
        "f:containers": {"k:{\"name\":\"x\"}": {"f:image": {}}}}}}})
    );
    let creator = &entry(&new, "creator")["fieldsV1"]["f:spec"];
    assert_eq!(creator.get("f:progressDeadlineSeconds"), None);
    assert_eq!(
        creator["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"x\"}"].get("f:image"),
        None
    );

    let mut same = new.clone();
    update(deployment(), Some(&new), &mut same, &manager("idle", 2));
    assert_eq!(same, new);
}

#[test]
fn owners_can_be_reset_and_are_not_tracked_again_by_updates() {
    let mut old = stored();
    update(deployment(), None, &mut old, &manager("creator", 0));
    old["metadata"]["uid"] = "u".into();
    for reset in [json!([]), json!([{}])] {
        let mut new = old.clone();
        new["metadata"]["managedFields"] = reset;
        new["spec"]["replicas"] = 5.into();
        update(deployment(), Some(&old), &mut new, &manager("resetter", 1));
        assert_eq!(new["metadata"].get("managedFields"), None);
    }
    let mut garbage = old.clone();
    garbage["metadata"]["managedFields"] = json!([{"manager": "x", "operation": "Nope"}]);
    update(deployment(), Some(&old), &mut garbage, &manager("x", 1));
    assert_eq!(garbage, old);
}

#[test]
fn old_updates_are_merged_beyond_ten() {
    let schema = schema("core.v1.ConfigMap");
    let mut object = json!({"metadata": {"name": "c"}, "data": {"k0": "v"}});
    let names = [
        "m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9", "m10", "m11",
    ];
    update(schema, None, &mut object, &manager(names[0], 0));
    object["metadata"]["uid"] = "u".into();
    for (i, name) in names.iter().enumerate().skip(1) {
        let old = object.clone();
        object["data"][format!("k{i}")] = "v".into();
        update(schema, Some(&old), &mut object, &manager(name, i as i64));
    }
    let entries = object["metadata"]["managedFields"]
        .as_array()
        .expect("entries");
    assert_eq!(entries.len(), 10);
    assert_eq!(entries[0]["manager"], "ancient-changes");
    assert_eq!(
        entries[0]["fieldsV1"]["f:data"],
        json!({".": {}, "f:k0": {}, "f:k1": {}, "f:k2": {}})
    );
}

#[test]
fn an_apply_owns_what_it_names_and_no_more() {
    let wanted = config(
        json!({"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]}}}),
    );
    let applied = apply(deployment(), None, &wanted, &manager("m1", 0), false).expect("an object");
    assert_eq!(
        entry(&applied, "m1"),
        &json!({"manager": "m1", "operation": "Apply", "apiVersion": "apps/v1",
        "time": "2026-01-02T03:04:05Z", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:replicas": {}, "f:selector": {}, "f:template": {
            "f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:image": {}, "f:name": {},
                "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}}}}})
    );
    let again = apply(
        deployment(),
        Some(&applied),
        &wanted,
        &manager("m1", 9),
        false,
    );
    assert_eq!(again, Ok(applied));
}

#[test]
fn what_others_own_is_a_conflict_unless_forced() {
    let first = config(
        json!({"replicas": 2, "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}),
    );
    let live = apply(deployment(), None, &first, &manager("m1", 0), false).expect("an object");
    let one = config(json!({"replicas": 3}));
    let error =
        apply(deployment(), Some(&live), &one, &manager("m2", 1), false).expect_err("a conflict");
    assert_eq!(
        error.to_string(),
        "Apply failed with 1 conflict: conflict with \"m1\": .spec.replicas"
    );
    let two = config(
        json!({"replicas": 3, "template": {"spec": {"containers": [{"name": "c", "image": "j"}]}}}),
    );
    let error =
        apply(deployment(), Some(&live), &two, &manager("m2", 1), false).expect_err("conflicts");
    assert_eq!(
        error.to_string(),
        "Apply failed with 2 conflicts: conflicts with \"m1\":\n- .spec.replicas\n\
        - .spec.template.spec.containers[name=\"c\"].image"
    );
    let forced =
        apply(deployment(), Some(&live), &one, &manager("m2", 1), true).expect("an object");
    assert_eq!(forced["spec"]["replicas"], 3);
    assert_eq!(
        entry(&forced, "m2")["fieldsV1"],
        json!({"f:spec": {"f:replicas": {}}})
    );
    assert_eq!(
        entry(&forced, "m1")["fieldsV1"]["f:spec"].get("f:replicas"),
        None
    );

    let mut updated = live.clone();
    updated["metadata"]["uid"] = "u".into();
    let old = updated.clone();
    updated["spec"]["replicas"] = 7.into();
    update(
        deployment(),
        Some(&old),
        &mut updated,
        &manager("kubectl-scale", 2),
    );
    let error = apply(
        deployment(),
        Some(&updated),
        &first,
        &manager("m1", 3),
        false,
    )
    .expect_err("a conflict");
    assert_eq!(
        error.to_string(),
        "Apply failed with 1 conflict: conflict with \"kubectl-scale\" using apps/v1: .spec.replicas"
    );
}

#[test]
fn the_same_value_is_owned_together() {
    let wanted = config(json!({"replicas": 2}));
    let live = apply(deployment(), None, &wanted, &manager("m1", 0), false).expect("an object");
    let shared =
        apply(deployment(), Some(&live), &wanted, &manager("m2", 1), false).expect("an object");
    assert_eq!(
        entry(&shared, "m1")["fieldsV1"],
        entry(&shared, "m2")["fieldsV1"]
    );
    // When one lets go, the other still holds it; when both do, it goes.
    let nothing = config(json!({"minReadySeconds": 1}));
    let one = apply(
        deployment(),
        Some(&shared),
        &nothing,
        &manager("m1", 2),
        false,
    )
    .expect("an object");
    assert_eq!(one["spec"], json!({"replicas": 2, "minReadySeconds": 1}));
    let none =
        apply(deployment(), Some(&one), &nothing, &manager("m2", 3), false).expect("an object");
    assert_eq!(none["spec"], json!({"minReadySeconds": 1}));
}

#[test]
fn entries_that_are_no_longer_applied_go_and_those_of_others_stay() {
    let with = |env: Value| {
        config(json!({"template": {"spec": {"containers": [{"name": "c", "env": env}]}}}))
    };
    let both = with(json!([{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]));
    let mut live = apply(deployment(), None, &both, &manager("m1", 0), false).expect("an object");
    live["metadata"]["uid"] = "u".into();
    let old = live.clone();
    let env = live["spec"]["template"]["spec"]["containers"][0]["env"]
        .as_array_mut()
        .expect("a list");
    env.push(json!({"name": "Z", "value": "other"}));
    update(deployment(), Some(&old), &mut live, &manager("other", 1));
    let fewer = with(json!([{"name": "B", "value": "2"}]));
    let applied =
        apply(deployment(), Some(&live), &fewer, &manager("m1", 2), false).expect("an object");
    assert_eq!(
        applied["spec"]["template"]["spec"]["containers"][0]["env"],
        json!([{"name": "B", "value": "2"}, {"name": "Z", "value": "other"}])
    );
    // Nobody else owns the container itself, so it goes with all that is in it.
    let whole = apply(
        deployment(),
        Some(&applied),
        &config(json!({"replicas": 1})),
        &manager("m1", 3),
        false,
    );
    assert_eq!(whole.expect("an object")["spec"], json!({"replicas": 1}));
}

#[test]
fn what_was_there_before_the_first_apply_has_an_owner() {
    let live = json!({"metadata": {"name": "e", "uid": "u"}, "spec": {"replicas": 1}});
    let error = apply(
        deployment(),
        Some(&live),
        &config(json!({"replicas": 2})),
        &manager("m", 0),
        false,
    );
    assert_eq!(
        error.expect_err("a conflict").to_string(),
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using apps/v1: .spec.replicas"
    );
}

#[test]
fn kubectl_takes_over_from_its_own_client_side_apply() {
    let first = config(json!({"replicas": 2}));
    let mut live = first.clone();
    live["metadata"]["annotations"] = json!({LAST_APPLIED: first.to_string()});
    update(
        deployment(),
        None,
        &mut live,
        &manager("kubectl-client-side-apply", 0),
    );
    let wanted = config(json!({"replicas": 3}));
    let other = apply(
        deployment(),
        Some(&live),
        &wanted,
        &manager("someone", 1),
        false,
    );
    assert!(matches!(other, Err(Error::Conflicts(_))));
    let taken = apply(
        deployment(),
        Some(&live),
        &wanted,
        &manager("kubectl", 1),
        false,
    )
    .expect("an object");
    assert_eq!(taken["spec"]["replicas"], 3);
    let annotation = meta::annotation(&taken, LAST_APPLIED).expect("the annotation");
    assert_eq!(annotation, format!("{wanted}\n"));
}

#[test]
fn configurations_that_do_not_fit_are_refused() {
    let error = |config: Value| {
        apply(deployment(), None, &config, &manager("m", 0), false)
            .expect_err("an error")
            .to_string()
    };
    let prefix = "failed to create typed patch object (/e; apps/v1, Kind=Deployment): ";
    assert_eq!(
        error(config(json!({"foo": 1}))),
        format!("{prefix}.spec.foo: field not declared in schema")
    );
    assert_eq!(
        error(config(json!({"replicas": "x"}))),
        format!("{prefix}.spec.replicas: expected numeric (int or float), got string")
    );
    assert_eq!(
        error(config(
            json!({"template": {"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}})
        )),
        format!("{prefix}.spec.template.spec.containers: duplicate entries for key [name=\"a\"]")
    );
    let mut managed = config(json!({}));
    managed["metadata"]["managedFields"] = json!([]);
    assert_eq!(error(managed), "metadata.managedFields must be nil");
}

#[test]
fn requests_to_a_subresource_have_an_entry_of_their_own() {
    let mut old = stored();
    update(deployment(), None, &mut old, &manager("kcm", 0));
    old["metadata"]["uid"] = "u".into();
    let mut new = old.clone();
    new["status"]["replicas"] = 1.into();
    let status = Manager {
        subresource: "status",
        ignored: &["spec"],
        ..manager("kcm", 1)
    };
    update(deployment(), Some(&old), &mut new, &status);
    let entries = new["metadata"]["managedFields"]
        .as_array()
        .expect("entries");
    assert_eq!(entries.len(), 2);
    assert_eq!(
        (&entries[1]["subresource"], &entries[1]["fieldsV1"]),
        (&json!("status"), &json!({"f:status": {"f:replicas": {}}}))
    );
}
