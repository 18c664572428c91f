//! Who may do what: certificates, tokens, roles.

use serde_json::{Value, json};
use tests::cluster::Cluster;
use tests::http::Api;
use tests::{PATIENCE, eventually_async};

use crate::{MAPS, at, map};

#[tokio::test]
async fn anonymous_requests_are_refused_but_health_is_told() {
    let cluster = Cluster::without_worker();
    let nobody = Api::with_token(&cluster.url, &cluster.kubeconfig(), None);
    let refused = nobody.get(MAPS).await.expect(401);
    assert_eq!(refused["reason"], "Unauthorized");
    for path in ["/livez", "/readyz"] {
        assert_eq!(nobody.get(path).await.expect(200), Value::from("ok"));
    }
}

#[tokio::test]
async fn a_wrong_token_is_refused() {
    let cluster = Cluster::without_worker();
    for token in ["nonsense", "a.b.c", ""] {
        let stranger = Api::with_token(&cluster.url, &cluster.kubeconfig(), Some(token));
        stranger.get(MAPS).await.expect(401);
    }
}

#[tokio::test]
async fn a_user_of_the_token_file_may_do_what_its_roles_say() {
    let tokens = tempfile::NamedTempFile::new().expect("a file can be made");
    std::fs::write(tokens.path(), "secret,alice,1,\"readers,people\"\n")
        .expect("it can be written");
    let file = tokens.path().to_string_lossy().into_owned();
    let cluster = Cluster::start(&["--no-worker", "--token-auth-file", &file]);
    let admin = cluster.api();
    let alice = Api::with_token(&cluster.url, &cluster.kubeconfig(), Some("secret"));
    let refused = alice.get(MAPS).await.expect(403);
    assert_eq!(
        refused["message"],
        "configmaps is forbidden: User \"alice\" cannot list resource \"configmaps\" in API group \"\" \
         in the namespace \"default\""
    );
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "read"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}],
    });
    admin
        .post(&format!("{rbac}/roles"), &role)
        .await
        .expect(201);
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "read"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "read"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "readers"}],
    });
    admin
        .post(&format!("{rbac}/rolebindings"), &binding)
        .await
        .expect(201);
    // It counts from the moment at which it was acknowledged.
    alice.get(MAPS).await.expect(200);
    alice.post(MAPS, &map("one", "1")).await.expect(403);
}

#[tokio::test]
async fn a_user_grants_no_more_than_it_has() {
    let tokens = tempfile::NamedTempFile::new().expect("a file can be made");
    std::fs::write(tokens.path(), "secret,bob,1\n").expect("it can be written");
    let file = tokens.path().to_string_lossy().into_owned();
    let cluster = Cluster::start(&["--no-worker", "--token-auth-file", &file]);
    let rbac = "/apis/rbac.authorization.k8s.io/v1/clusterrole";
    let role = |name: &str, resource: &str, group: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
            "rules": [{"apiGroups": [group], "resources": [resource], "verbs": ["*"]}],
        })
    };
    let admin = cluster.api();
    let granter = role("granter", "clusterroles", "rbac.authorization.k8s.io");
    let mut granter = granter;
    // `*` would include `escalate`, which allows everything.
    granter["rules"][0]["verbs"] = json!(["create", "get"]);
    admin.post(&format!("{rbac}s"), &granter).await.expect(201);
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "bob"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "granter"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"}],
    });
    admin
        .post(&format!("{rbac}bindings"), &binding)
        .await
        .expect(201);
    let bob = Api::with_token(&cluster.url, &cluster.kubeconfig(), Some("secret"));
    let refused = eventually_async("the role to count", PATIENCE, || async {
        let answer = bob
            .post(&format!("{rbac}s"), &role("secrets", "secrets", ""))
            .await;
        let message = answer.body["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        (answer.code == 403 && message.contains("attempting to grant")).then_some(message)
    })
    .await;
    assert!(
        refused.contains("is attempting to grant RBAC permissions not currently held"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_service_account_token_is_its_account_until_that_is_deleted() {
    let cluster = Cluster::without_worker();
    let admin = cluster.api();
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}});
    admin.post(accounts, &account).await.expect(201);
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"expirationSeconds": 3600},
    });
    let answer = admin
        .post(&format!("{accounts}/robot/token"), &request)
        .await
        .expect(201);
    let token = answer["status"]["token"].as_str().expect("a token");
    let robot = Api::with_token(&cluster.url, &cluster.kubeconfig(), Some(token));
    let refused = robot.get(MAPS).await.expect(403);
    let message = refused["message"].as_str().expect("a message");
    assert!(
        message.contains("User \"system:serviceaccount:default:robot\""),
        "{message}"
    );
    admin.delete(&format!("{accounts}/robot")).await.expect(200);
    eventually_async("the token to end", PATIENCE, || async {
        (robot.get(MAPS).await.code == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_certificates_of_the_first_boot_serve_the_next_ones() {
    let mut cluster = Cluster::without_worker();
    cluster.api().post(MAPS, &map("one", "1")).await.expect(201);
    let before = cluster.api();
    cluster.terminate();
    cluster.boot();
    before.get(&at("one")).await.expect(200);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(cluster.kubeconfig())
            .expect("the kubeconfig is there")
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_token_is_asked_for_the_account_of_the_url() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    let path = "/api/v1/namespaces/default/serviceaccounts/default/token";
    let ask = |body: Value| {
        let api = api.clone();
        async move { api.post(path, &body).await }
    };
    eventually_async("the account is made", PATIENCE, || async {
        (ask(json!({"metadata": {"name": "default"}, "spec": {}}))
            .await
            .code
            == 201)
            .then_some(())
    })
    .await;
    let other = json!({"metadata": {"name": "other"}, "spec": {}});
    let refused = ask(other).await.expect(422);
    let message = refused["message"].as_str().expect("a message");
    assert!(
        message.ends_with("must match the service account name if specified"),
        "{message}"
    );
    ask(json!({"metadata": {"namespace": "other"}, "spec": {}}))
        .await
        .expect(400);
}
