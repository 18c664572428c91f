//! Access reviews and their relatives: answered, stored nowhere. The texts are those of a real
//! kube-apiserver.

use api::auth::UserInfo;
use serde_json::{Value, json};

use crate::harness::{Answer, Cluster};

const AUTHORIZATION: &str = "/apis/authorization.k8s.io/v1";
const AUTHENTICATION: &str = "/apis/authentication.k8s.io/v1";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// What a review is answered with.
fn status(answer: &Answer) -> Value {
    assert_eq!(answer.code, 201, "{}", answer.message());
    answer.json()["status"].clone()
}

fn bob() -> UserInfo {
    UserInfo::component("bob", &["dev"])
}

impl Cluster {
    async fn review(&self, kind: &str, spec: Value) -> Answer {
        let group = match kind {
            "tokenreviews" | "selfsubjectreviews" => AUTHENTICATION,
            _ => AUTHORIZATION,
        };
        self.post(
            &format!("{group}/{kind}"),
            &json!({"spec": spec}).to_string(),
        )
        .await
    }

    async fn review_as(&self, user: &UserInfo, kind: &str, spec: Value) -> Answer {
        let url = format!("{AUTHORIZATION}/{kind}");
        let body = json!({"spec": spec}).to_string();
        self.ask_as(user, "POST", &url, JSON, &body).await
    }

    async fn make(&self, url: &str, body: Value) {
        let made = self.post(url, &body.to_string()).await;
        assert_eq!(made.code, 201, "{}", made.message());
    }

    /// The namespace `team`, where a role is bound to bob, his group and an account.
    async fn with_team() -> Self {
        let cluster = Self::start().await;
        let namespaces = "/api/v1/namespaces";
        cluster
            .make(namespaces, json!({"metadata": {"name": "team"}}))
            .await;
        cluster
            .make(
                &format!("{RBAC}/namespaces/team/roles"),
                json!({"metadata": {"name": "r"}, "rules": [
                    {"apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"], "verbs": ["get"]},
                ]}),
            )
            .await;
        cluster
            .make(
                &format!("{RBAC}/namespaces/team/rolebindings"),
                json!({
                    "metadata": {"name": "rb"},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
                    "subjects": [
                        {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"},
                        {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "dev"},
                        {"kind": "ServiceAccount", "name": "bot", "namespace": "team"},
                    ],
                }),
            )
            .await;
        cluster
    }
}

fn pod_a() -> Value {
    json!({"verb": "get", "resource": "pods", "name": "a", "namespace": "team"})
}

#[tokio::test]
async fn a_review_says_which_binding_allows_it() {
    let cluster = Cluster::with_team().await;
    let binding = r#"RBAC: allowed by RoleBinding "rb/team" of Role "r" to "#;
    let account = "system:serviceaccount:team:bot";
    for (user, groups, subject) in [
        ("bob", json!([]), r#"User "bob""#),
        ("carol", json!(["dev"]), r#"Group "dev""#),
        (account, json!([]), r#"ServiceAccount "bot/team""#),
    ] {
        let spec = json!({"user": user, "groups": groups, "resourceAttributes": pod_a()});
        let answer = cluster.review("subjectaccessreviews", spec).await;
        let reason = format!("{binding}{subject}");
        assert_eq!(status(&answer), json!({"allowed": true, "reason": reason}));
    }
    let spec = json!({
        "groups": ["system:authenticated"],
        "resourceAttributes": {
            "verb": "create", "group": "authentication.k8s.io", "resource": "selfsubjectreviews",
        },
    });
    let answer = cluster.review("subjectaccessreviews", spec).await;
    assert_eq!(
        status(&answer)["reason"],
        "RBAC: allowed by ClusterRoleBinding \"system:basic-user\" of ClusterRole \
         \"system:basic-user\" to Group \"system:authenticated\""
    );
}

#[tokio::test]
async fn what_nothing_allows_is_not_allowed_and_missing_roles_are_named() {
    let cluster = Cluster::with_team().await;
    let mut elsewhere = pod_a();
    elsewhere["namespace"] = "other".into();
    let spec = json!({"user": "bob", "resourceAttributes": elsewhere});
    let answer = cluster.review("subjectaccessreviews", spec.clone()).await;
    assert_eq!(status(&answer), json!({"allowed": false}));
    let binding = json!({
        "metadata": {"name": "gone"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "nothere"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"}],
    });
    cluster
        .make(&format!("{RBAC}/clusterrolebindings"), binding)
        .await;
    let reason = r#"rbac: RBAC: clusterrole.rbac.authorization.k8s.io "nothere" not found"#;
    let answer = cluster.review("subjectaccessreviews", spec).await;
    assert_eq!(status(&answer), json!({"allowed": false, "reason": reason}));
    let node = json!({
        "user": "system:node:n1",
        "groups": ["system:nodes"],
        "resourceAttributes": {"verb": "get", "resource": "nodes", "name": "n2"},
    });
    let answer = cluster.review("subjectaccessreviews", node).await;
    assert_eq!(
        status(&answer)["reason"],
        "node: node 'n1' cannot read 'n2', only its own Node object"
    );
}

#[tokio::test]
async fn everybody_may_ask_about_themselves_and_not_about_others() {
    let cluster = Cluster::with_team().await;
    let own = json!({"resourceAttributes": pod_a()});
    let answer = cluster
        .review_as(&bob(), "selfsubjectaccessreviews", own.clone())
        .await;
    assert_eq!(status(&answer)["allowed"], true);
    let answer = answer.json();
    assert_eq!(answer["metadata"].get("creationTimestamp"), None);
    assert_eq!(answer["spec"]["resourceAttributes"], pod_a());
    let refused = cluster
        .review_as(&bob(), "subjectaccessreviews", own.clone())
        .await;
    assert_eq!(refused.code, 403);
    assert_eq!(
        refused.message(),
        "subjectaccessreviews.authorization.k8s.io is forbidden: User \"bob\" cannot create resource \
         \"subjectaccessreviews\" in API group \"authorization.k8s.io\" at the cluster scope"
    );
    let masters = cluster.review("selfsubjectaccessreviews", own).await;
    assert_eq!(status(&masters), json!({"allowed": true}));
}

#[tokio::test]
async fn a_local_review_is_about_its_namespace_which_need_not_exist() {
    let cluster = Cluster::with_team().await;
    let ask = async |namespace: &str, asked: &str| {
        let url = format!("{AUTHORIZATION}/namespaces/{namespace}/localsubjectaccessreviews");
        let mut resource = pod_a();
        resource["namespace"] = asked.into();
        let spec = json!({"user": "bob", "resourceAttributes": resource});
        cluster.post(&url, &json!({"spec": spec}).to_string()).await
    };
    let answer = ask("team", "team").await;
    assert_eq!(status(&answer)["allowed"], true);
    assert_eq!(answer.json()["metadata"]["namespace"], "team");
    assert_eq!(
        status(&ask("none", "none").await),
        json!({"allowed": false})
    );
    assert_eq!(
        ask("team", "other").await.message(),
        ".authorization.k8s.io \"\" is invalid: spec.resourceAttributes.namespace: Invalid value: \
         \"other\": must match metadata.namespace"
    );
}

#[tokio::test]
async fn a_question_without_sense_is_refused_with_every_problem() {
    let cluster = Cluster::start().await;
    let invalid = async |kind: &str, body: Value| {
        let url = format!("{AUTHORIZATION}/{kind}");
        let answer = cluster.post(&url, &body.to_string()).await;
        assert_eq!(answer.code, 422, "{body}");
        answer.message()
    };
    assert_eq!(
        invalid("subjectaccessreviews", json!({})).await,
        ".authorization.k8s.io \"\" is invalid: [spec: Invalid value: null: exactly one of \
         nonResourceAttributes or resourceAttributes must be specified, spec.user: Invalid value: \"\": \
         at least one of user or group must be specified]"
    );
    let both = json!({"spec": {
        "resourceAttributes": {"verb": "create"},
        "nonResourceAttributes": {"path": "/x", "verb": "get"},
    }});
    assert_eq!(
        invalid("selfsubjectaccessreviews", both).await,
        ".authorization.k8s.io \"\" is invalid: spec: Invalid value: {\"Path\":\"/x\",\"Verb\":\"get\"}: \
         exactly one of nonResourceAttributes or resourceAttributes must be specified"
    );
    let named = json!({
        "metadata": {"name": "x"},
        "spec": {"nonResourceAttributes": {"path": "/x", "verb": "get"}},
    });
    let message = invalid("selfsubjectaccessreviews", named).await;
    assert!(message.ends_with(": must be empty"), "{message}");
}

#[tokio::test]
async fn rules_are_those_of_roles_and_those_of_a_node_are_incomplete() {
    let cluster = Cluster::with_team().await;
    let team = json!({"namespace": "team"});
    let answer = cluster
        .review_as(&bob(), "selfsubjectrulesreviews", team.clone())
        .await;
    let rules = status(&answer);
    assert_eq!(rules["incomplete"], false);
    let listed = rules["resourceRules"].as_array().unwrap();
    let role = json!({
        "verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"],
    });
    // Bound to bob and to his group by one binding, so listed once.
    assert_eq!(listed.iter().filter(|rule| **rule == role).count(), 1);
    let own = json!({
        "verbs": ["create"], "apiGroups": ["authentication.k8s.io"],
        "resources": ["selfsubjectreviews"],
    });
    assert!(listed.contains(&own), "{listed:?}");
    let urls = json!({
        "verbs": ["get"],
        "nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"],
    });
    let listed = rules["nonResourceRules"].as_array().unwrap();
    assert!(listed.contains(&urls), "{listed:?}");
    assert_eq!(answer.json()["spec"], json!({}));
    let node = UserInfo::component("system:node:n1", &["system:nodes"]);
    let answer = cluster
        .review_as(&node, "selfsubjectrulesreviews", team)
        .await;
    assert_eq!(status(&answer)["incomplete"], true);
    assert_eq!(
        status(&answer)["evaluationError"],
        "node authorizer does not support user rule resolution"
    );
    let nowhere = cluster.review("selfsubjectrulesreviews", json!({})).await;
    assert_eq!(
        (nowhere.code, nowhere.message().as_str()),
        (400, "no namespace on request")
    );
}

#[tokio::test]
async fn a_token_is_reviewed_for_its_audiences_and_while_its_account_exists() {
    let cluster = Cluster::with_team().await;
    let accounts = "/api/v1/namespaces/team/serviceaccounts";
    cluster
        .make(accounts, json!({"metadata": {"name": "bot"}}))
        .await;
    let url = format!("{accounts}/bot/token");
    let body = json!({"spec": {"audiences": ["vault"]}}).to_string();
    let made = status(&cluster.post(&url, &body).await);
    let token = made["token"].as_str().unwrap().to_owned();
    let review = async |spec: Value| status(&cluster.review("tokenreviews", spec).await);
    let good = review(json!({"token": token, "audiences": ["vault", "other"]})).await;
    assert_eq!(good["authenticated"], true);
    assert_eq!(good["audiences"], json!(["vault"]));
    assert_eq!(good["user"]["username"], "system:serviceaccount:team:bot");
    assert_eq!(
        good["user"]["groups"],
        json!([
            "system:serviceaccounts",
            "system:serviceaccounts:team",
            "system:authenticated"
        ])
    );
    assert_eq!(
        review(json!({"token": token})).await,
        json!({"user": {}, "error":
            "[invalid bearer token, token audiences [\"vault\"] is invalid for the target audiences \
             [\"https://kubernetes.default.svc.cluster.local\"]]"})
    );
    assert_eq!(
        review(json!({"token": "nope"})).await,
        json!({"user": {}, "error": "invalid bearer token"})
    );
    cluster.delete(&format!("{accounts}/bot"), "").await;
    assert_eq!(
        review(json!({"token": token, "audiences": ["vault"]})).await["error"],
        r#"[invalid bearer token, serviceaccounts "bot" not found]"#
    );
    let none = cluster.review("tokenreviews", json!({})).await;
    assert_eq!(
        (none.code, none.message().as_str()),
        (400, "token is required for TokenReview in authentication")
    );
}

#[tokio::test]
async fn who_asks_is_told_who_they_are_whatever_the_question_says() {
    let cluster = Cluster::start().await;
    let mut user = bob();
    user.uid = "1002".to_owned();
    let url = format!("{AUTHENTICATION}/selfsubjectreviews");
    let body = r#"{"metadata":{"name":"x"},"status":{"userInfo":{"username":"lie"}}}"#;
    let answer = cluster.ask_as(&user, "POST", &url, JSON, body).await;
    assert_eq!(
        status(&answer),
        json!({"userInfo": {
            "username": "bob", "uid": "1002", "groups": ["dev", "system:authenticated"],
        }})
    );
    let metadata = answer.json()["metadata"].clone();
    assert!(metadata["creationTimestamp"].is_string(), "{metadata}");
    assert_eq!(metadata.get("name"), None);
}

#[tokio::test]
async fn a_review_can_only_be_created_and_has_no_table() {
    let cluster = Cluster::start().await;
    let url = format!("{AUTHORIZATION}/selfsubjectaccessreviews");
    let local = format!("{AUTHORIZATION}/namespaces/x/localsubjectaccessreviews");
    for (method, url, code) in [
        ("GET", url.clone(), 405),
        ("DELETE", url.clone(), 405),
        ("GET", format!("{url}?watch=true"), 405),
        ("GET", local, 405),
        ("GET", format!("{url}/x"), 404),
        ("PUT", format!("{url}/x"), 404),
        (
            "GET",
            format!("{AUTHORIZATION}/watch/selfsubjectaccessreviews"),
            404,
        ),
        (
            "GET",
            format!("{AUTHORIZATION}/localsubjectaccessreviews"),
            404,
        ),
        (
            "POST",
            format!("{AUTHORIZATION}/localsubjectaccessreviews"),
            404,
        ),
    ] {
        let answer = cluster.ask(method, &url, JSON, "{}").await;
        assert_eq!(answer.code, code, "{method} {url}");
    }
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let headers = [("content-type", "application/json"), ("accept", table)];
    let body = r#"{"spec":{"nonResourceAttributes":{"path":"/","verb":"get"}}}"#;
    assert_eq!(cluster.ask("POST", &url, &headers, body).await.code, 406);
    let dry = cluster.post(&format!("{url}?dryRun=All"), body).await;
    assert_eq!(status(&dry), json!({"allowed": true}));
}

#[tokio::test]
async fn discovery_lists_what_can_be_asked() {
    let cluster = Cluster::start().await;
    let listed = cluster.get(AUTHORIZATION).await.json();
    let names: Vec<&Value> = listed["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|resource| &resource["name"])
        .collect();
    assert_eq!(
        names,
        [
            "localsubjectaccessreviews",
            "selfsubjectaccessreviews",
            "selfsubjectrulesreviews",
            "subjectaccessreviews"
        ]
    );
    assert_eq!(
        listed["resources"][0],
        json!({
            "name": "localsubjectaccessreviews", "singularName": "localsubjectaccessreview",
            "namespaced": true, "kind": "LocalSubjectAccessReview", "verbs": ["create"],
        })
    );
    let document = cluster
        .get("/openapi/v3/apis/authentication.k8s.io/v1")
        .await
        .json();
    let paths = document["paths"].as_object().unwrap();
    let paths: Vec<&str> = paths.keys().map(String::as_str).collect();
    let reviews = ["selfsubjectreviews", "tokenreviews"].map(|r| format!("{AUTHENTICATION}/{r}"));
    assert_eq!(paths, reviews);
}

#[tokio::test]
async fn a_question_with_more_mistakes_than_anybody_reads_is_answered_all_the_same() {
    let cluster = Cluster::start().await;
    let requirements = vec![json!({}); 200_000];
    let spec = json!({"resourceAttributes": {
        "verb": "get", "resource": "pods", "labelSelector": {"requirements": requirements},
    }});
    let refused = cluster
        .review_as(&bob(), "selfsubjectaccessreviews", spec)
        .await;
    assert_eq!(refused.code, 422);
    let told = refused.json()["details"]["causes"]
        .as_array()
        .unwrap()
        .len();
    assert!((2..200).contains(&told), "{told} causes");
}

#[tokio::test]
async fn a_binding_of_many_is_found_for_a_user_of_many_groups() {
    let cluster = Cluster::with_team().await;
    let subjects: Vec<Value> = (0..5_000)
        .map(|n| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": format!("g{n}")}))
        .chain([json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "zed"})])
        .collect();
    let binding = json!({
        "metadata": {"name": "many"}, "subjects": subjects,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
    });
    cluster
        .make(&format!("{RBAC}/namespaces/team/rolebindings"), binding)
        .await;
    let groups: Vec<String> = (0..100_000).map(|n| format!("h{n}")).collect();
    let spec = json!({"user": "zed", "groups": groups, "resourceAttributes": {
        "verb": "get", "resource": "pods", "namespace": "team", "name": "a",
    }});
    let answer = cluster.review("subjectaccessreviews", spec).await;
    assert_eq!(
        status(&answer)["reason"],
        "RBAC: allowed by RoleBinding \"many/team\" of Role \"r\" to User \"zed\""
    );
}
