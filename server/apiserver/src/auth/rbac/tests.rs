//! What roles and bindings allow, and who may grant them.

use serde_json::json;

use super::*;

fn role(index: &Index, namespace: &str, name: &str, rules: Value) {
    let kind = if namespace.is_empty() {
        "ClusterRole"
    } else {
        "Role"
    };
    let object = json!({"metadata": {"name": name}, "rules": rules});
    index.set(kind, namespace, name, Some(&object));
}

fn bind(index: &Index, namespace: &str, role: &str, role_kind: &str, subject: Value) {
    let kind = if namespace.is_empty() {
        "ClusterRoleBinding"
    } else {
        "RoleBinding"
    };
    let object = json!({
        "roleRef": {"kind": role_kind, "name": role},
        "subjects": [subject],
    });
    let name = format!("{role}-{}", subject["name"]);
    index.set(kind, namespace, &name, Some(&object));
}

fn alice() -> UserInfo {
    UserInfo::component("alice", &["dev"])
}

/// `VERB GROUP/RESOURCE[/SUBRESOURCE] NAMESPACE [NAME]`, or `VERB PATH`; `-` for no namespace.
fn allowed(index: &Index, user: &UserInfo, request: &str) -> bool {
    let words: Vec<&str> = request.split(' ').collect();
    let mut attributes = Attributes {
        user,
        verb: words[0],
        group: "",
        resource: "",
        subresource: "",
        namespace: "",
        name: "",
        field_selector: "",
        path: words[1],
    };
    if !words[1].starts_with("//") {
        let mut parts = words[1].split('/');
        attributes.group = parts.next().unwrap_or_default();
        attributes.resource = parts.next().unwrap_or_default();
        attributes.subresource = parts.next().unwrap_or_default();
        attributes.namespace = words[2].trim_matches('-');
        attributes.name = words.get(3).copied().unwrap_or_default();
    } else {
        attributes.path = &words[1][1..];
    }
    index.allows(&attributes).is_ok()
}

#[test]
fn a_role_binding_allows_in_its_namespace_only() {
    let index = Index::default();
    role(
        &index,
        "a",
        "reader",
        json!([
            {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]}
        ]),
    );
    bind(
        &index,
        "a",
        "reader",
        "Role",
        json!({"kind": "User", "name": "alice"}),
    );
    let user = alice();
    assert!(allowed(&index, &user, "list /pods a"));
    assert!(allowed(&index, &user, "get /pods/log a web"));
    for request in [
        "list /pods b",
        "list /pods -",
        "get /pods/status a web",
        "get apps/pods a web",
        "delete /pods a web",
        "list /secrets a",
    ] {
        assert!(!allowed(&index, &user, request), "{request}");
    }
}

#[test]
fn a_cluster_role_can_be_bound_everywhere_or_in_a_namespace() {
    let index = Index::default();
    role(
        &index,
        "",
        "all",
        json!([
            {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
        ]),
    );
    bind(
        &index,
        "",
        "all",
        "ClusterRole",
        json!({"kind": "Group", "name": "ops"}),
    );
    bind(
        &index,
        "a",
        "all",
        "ClusterRole",
        json!({"kind": "Group", "name": "dev"}),
    );
    let ops = UserInfo::component("bob", &["ops"]);
    assert!(allowed(&index, &ops, "deletecollection apps/deployments -"));
    assert!(allowed(
        &index,
        &alice(),
        "delete apps/deployments/scale a web"
    ));
    assert!(!allowed(&index, &alice(), "delete apps/deployments b web"));
    assert!(!allowed(&index, &ops, "get //metrics"));
}

#[test]
fn names_subresource_patterns_and_urls_are_matched() {
    let index = Index::default();
    role(
        &index,
        "",
        "some",
        json!([
            {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["one"], "verbs": ["get"]},
            {"apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["update"]},
            {"nonResourceURLs": ["/version", "/livez/*"], "verbs": ["get"]},
        ]),
    );
    bind(
        &index,
        "",
        "some",
        "ClusterRole",
        json!({"kind": "User", "name": "alice"}),
    );
    let user = alice();
    assert!(allowed(&index, &user, "get /configmaps a one"));
    assert!(!allowed(&index, &user, "get /configmaps a two"));
    assert!(!allowed(&index, &user, "get /configmaps a"));
    assert!(allowed(
        &index,
        &user,
        "update apps/deployments/scale a web"
    ));
    assert!(!allowed(&index, &user, "update apps/deployments a web"));
    assert!(allowed(&index, &user, "get //version"));
    assert!(allowed(&index, &user, "get //livez/ping"));
    assert!(!allowed(&index, &user, "get //livez"));
    assert!(!allowed(&index, &user, "post //version"));
}

#[test]
fn a_service_account_is_a_subject_by_its_name() {
    let index = Index::default();
    role(
        &index,
        "",
        "reader",
        json!([
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
        ]),
    );
    let subject = json!({"kind": "ServiceAccount", "name": "robot", "namespace": "a"});
    bind(&index, "", "reader", "ClusterRole", subject);
    let robot = UserInfo::component("system:serviceaccount:a:robot", &[]);
    assert!(allowed(&index, &robot, "get /pods b web"));
}

#[test]
fn what_is_changed_or_deleted_no_longer_allows() {
    let index = Index::default();
    let rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    role(&index, "", "reader", rules);
    let bob = json!({"kind": "User", "name": "bob"});
    let named = |subject: &str| {
        json!({
            "roleRef": {"kind": "ClusterRole", "name": "reader"},
            "subjects": [{"kind": "User", "name": subject}, bob],
        })
    };
    index.set("ClusterRoleBinding", "", "b", Some(&named("alice")));
    assert!(allowed(&index, &alice(), "get /pods a web"));
    index.set("ClusterRoleBinding", "", "b", Some(&named("carol")));
    assert!(!allowed(&index, &alice(), "get /pods a web"));
    let bob = UserInfo::component("bob", &[]);
    assert!(allowed(&index, &bob, "get /pods a web"));
    index.set("ClusterRoleBinding", "", "b", None);
    assert!(!allowed(&index, &bob, "get /pods a web"));
    assert!(index.state.read().by_subject.is_empty());
}

#[test]
fn a_binding_to_a_role_that_is_not_there_is_named_in_the_denial() {
    let index = Index::default();
    bind(
        &index,
        "",
        "gone",
        "ClusterRole",
        json!({"kind": "User", "name": "alice"}),
    );
    let user = alice();
    let attributes = Attributes {
        user: &user,
        verb: "get",
        group: "",
        resource: "pods",
        subresource: "",
        namespace: "a",
        name: "",
        field_selector: "",
        path: "",
    };
    let reason = index.allows(&attributes).unwrap_err().unwrap();
    assert_eq!(
        reason,
        r#"RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found"#
    );
}

#[test]
fn an_aggregated_role_follows_the_roles_it_selects() {
    let index = Index::default();
    let aggregated =
        |label: &str| json!({"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]});
    index.set(
        "ClusterRole",
        "",
        "admin",
        Some(&json!({
            "aggregationRule": aggregated("to-admin"),
        })),
    );
    index.set(
        "ClusterRole",
        "",
        "edit",
        Some(&json!({
            "metadata": {"labels": {"to-admin": "true"}},
            "aggregationRule": aggregated("to-edit"),
        })),
    );
    bind(
        &index,
        "a",
        "admin",
        "ClusterRole",
        json!({"kind": "User", "name": "alice"}),
    );
    assert!(!allowed(&index, &alice(), "get /pods a web"));
    index.set(
        "ClusterRole",
        "",
        "custom",
        Some(&json!({
            "metadata": {"labels": {"to-edit": "true"}},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
        })),
    );
    assert!(allowed(&index, &alice(), "get /pods a web"));
    index.set("ClusterRole", "", "custom", None);
    assert!(!allowed(&index, &alice(), "get /pods a web"));
}

#[test]
fn nobody_can_grant_what_they_do_not_have() {
    let index = Index::default();
    role(
        &index,
        "a",
        "own",
        json!([
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
        ]),
    );
    bind(
        &index,
        "a",
        "own",
        "Role",
        json!({"kind": "User", "name": "alice"}),
    );
    let grant = |verbs: Value| {
        let object = json!({
            "metadata": {"name": "new"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": verbs}],
        });
        index.check_escalation(&alice(), "Role", "a", &object, None)
    };
    assert_eq!(grant(json!(["get"])), Ok(()));
    let refused = grant(json!(["get", "delete", "update"])).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "user \"alice\" (groups=[\"dev\" \"system:authenticated\"]) is attempting to grant RBAC \
         permissions not currently held:\n\
         {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\" \"update\"]}"
    );

    let binding = |role: &str| {
        let object = json!({"roleRef": {"kind": "Role", "name": role}, "subjects": []});
        index.check_escalation(&alice(), "RoleBinding", "a", &object, None)
    };
    assert_eq!(binding("own"), Ok(()));
    let missing = binding("none").unwrap_err();
    assert!(
        matches!(missing, Escalation::RoleNotFound(_)),
        "{missing:?}"
    );
    role(
        &index,
        "a",
        "more",
        json!([
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}
        ]),
    );
    assert!(matches!(binding("more"), Err(Escalation::Forbidden(_))));
}

#[test]
fn the_verbs_escalate_and_bind_lift_the_check() {
    let index = Index::default();
    role(
        &index,
        "",
        "granter",
        json!([
            {"apiGroups": [GROUP], "resources": ["roles"], "verbs": ["escalate"]},
            {"apiGroups": [GROUP], "resources": ["clusterroles"], "resourceNames": ["big"], "verbs": ["bind"]},
        ]),
    );
    role(
        &index,
        "",
        "big",
        json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]),
    );
    bind(
        &index,
        "",
        "granter",
        "ClusterRole",
        json!({"kind": "User", "name": "alice"}),
    );
    let rules = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    let object = json!({"metadata": {"name": "new"}, "rules": rules});
    let check = |kind, namespace, object: &Value| {
        index.check_escalation(&alice(), kind, namespace, object, None)
    };
    assert_eq!(check("Role", "a", &object), Ok(()));
    assert!(check("ClusterRole", "", &object).is_err());
    let binding = json!({"roleRef": {"kind": "ClusterRole", "name": "big"}});
    assert_eq!(check("ClusterRoleBinding", "", &binding), Ok(()));
    let masters = UserInfo::component("root", &[api::auth::MASTERS]);
    let lifted = index.check_escalation(&masters, "ClusterRole", "", &object, None);
    assert_eq!(lifted, Ok(()));
}

#[test]
fn a_role_whose_rules_do_not_change_can_be_updated_by_anybody_who_may_update_it() {
    let index = Index::default();
    let rules = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    let old = json!({"metadata": {"name": "x"}, "rules": rules});
    let new = json!({"metadata": {"name": "x", "labels": {"a": "b"}}, "rules": rules});
    let update = index.check_escalation(&alice(), "Role", "a", &new, Some(&old));
    assert_eq!(update, Ok(()));
}

#[test]
fn a_slash_in_the_name_of_a_resource_makes_no_subresource() {
    let index = Index::default();
    let rules = json!([{"apiGroups": [""], "resources": ["*/log"], "verbs": ["get"]}]);
    role(&index, "a", "logs", rules);
    let alice_herself = json!({"kind": "User", "name": "alice"});
    bind(&index, "a", "logs", "Role", alice_herself);
    let user = alice();
    assert!(allowed(&index, &user, "get /pods/log a web"));
    let attributes = Attributes {
        user: &user,
        verb: "get",
        group: "",
        resource: "pods/log",
        subresource: "",
        namespace: "a",
        name: "web",
        field_selector: "",
        path: "",
    };
    assert!(index.allows(&attributes).is_err());
}
