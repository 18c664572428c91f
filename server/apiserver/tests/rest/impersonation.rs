//! Requests made as somebody else. The texts are those of a real kube-apiserver.

use api::auth::UserInfo;
use serde_json::{Value, json};

use crate::harness::{Answer, Cluster};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const SELF: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

fn alice() -> UserInfo {
    UserInfo::component("alice", &[])
}

impl Cluster {
    /// Gives alice these rights.
    async fn allow(&self, rules: Value) {
        let role = json!({"metadata": {"name": "acting"}, "rules": rules});
        let made = self
            .post(&format!("{RBAC}/clusterroles"), &role.to_string())
            .await;
        assert_eq!(made.code, 201, "{}", made.message());
        let binding = json!({
            "metadata": {"name": "acting"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "acting"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}],
        });
        let url = format!("{RBAC}/clusterrolebindings");
        let made = self.post(&url, &binding.to_string()).await;
        assert_eq!(made.code, 201, "{}", made.message());
    }

    async fn as_alice(&self, method: &str, url: &str, headers: &[(&str, &str)]) -> Answer {
        let mut all = vec![("content-type", "application/json")];
        all.extend(headers);
        self.ask_as(&alice(), method, url, &all, "{}").await
    }

    /// Who an administrator is that acts as somebody.
    async fn becomes(&self, headers: &[(&str, &str)]) -> Value {
        let mut all = vec![("content-type", "application/json")];
        all.extend(headers);
        let answer = self.ask("POST", SELF, &all, "{}").await;
        assert_eq!(answer.code, 201, "{}", answer.message());
        answer.json()["status"]["userInfo"].clone()
    }
}

#[tokio::test]
async fn the_right_to_act_as_a_user_is_that_to_its_name_and_to_each_of_its_parts() {
    let cluster = Cluster::start().await;
    cluster
        .allow(json!([
            {"apiGroups": [""], "resources": ["users"], "resourceNames": ["bob"], "verbs": ["impersonate"]},
        ]))
        .await;
    let bob = ("Impersonate-User", "bob");
    let answer = cluster.as_alice("POST", SELF, &[bob]).await;
    assert_eq!(
        answer.json()["status"]["userInfo"],
        json!({"username": "bob", "groups": ["system:authenticated"]})
    );
    let pods = "/api/v1/namespaces/team/pods";
    let refused = cluster.as_alice("GET", pods, &[bob]).await;
    assert_eq!(
        refused.message(),
        "pods is forbidden: User \"bob\" cannot list resource \"pods\" in API group \"\" in the \
         namespace \"team\""
    );
    for headers in [
        &[bob, ("Impersonate-Group", "a")][..],
        &[bob, ("Impersonate-Uid", "7")][..],
        &[bob, ("Impersonate-Extra-Acme.io%2fTeam", "x")][..],
        &[("Impersonate-User", "system:serviceaccount:a:b")][..],
    ] {
        let refused = cluster.as_alice("GET", pods, headers).await;
        assert_eq!(refused.code, 403, "{headers:?}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_first_right_that_is_missing() {
    let cluster = Cluster::start().await;
    let zoe = [("Impersonate-User", "zoe")];
    let refused = async |url: &str| cluster.as_alice("GET", url, &zoe).await.message();
    assert_eq!(
        refused("/api/v1/namespaces/team/pods").await,
        "pods is forbidden: User \"alice\" cannot impersonate-on:user-info:list resource \"pods\" in API \
         group \"\" in the namespace \"team\""
    );
    assert_eq!(
        refused("/version").await,
        "forbidden: User \"alice\" cannot impersonate-on:user-info:get path \"/version\""
    );
    cluster
        .allow(json!([{"nonResourceURLs": ["*"], "verbs": ["impersonate-on:user-info:get"]}]))
        .await;
    assert_eq!(
        refused("/version").await,
        "users.authentication.k8s.io \"zoe\" is forbidden: User \"alice\" cannot impersonate:user-info \
         resource \"users\" in API group \"authentication.k8s.io\" at the cluster scope"
    );
}

#[tokio::test]
async fn a_constrained_right_is_good_for_what_it_names() {
    let cluster = Cluster::start().await;
    cluster
        .allow(json!([
            {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"],
             "verbs": ["impersonate-on:serviceaccount:create"]},
            {"apiGroups": ["authentication.k8s.io"], "resources": ["serviceaccounts"],
             "verbs": ["impersonate:serviceaccount"]},
        ]))
        .await;
    let bot = ("Impersonate-User", "system:serviceaccount:team:bot");
    let answer = cluster.as_alice("POST", SELF, &[bot]).await;
    assert_eq!(
        answer.json()["status"]["userInfo"]["groups"],
        json!([
            "system:serviceaccounts",
            "system:serviceaccounts:team",
            "system:authenticated"
        ])
    );
    let pods = cluster.as_alice("GET", "/api/v1/pods", &[bot]).await;
    assert!(
        pods.message()
            .contains("cannot impersonate-on:serviceaccount:list"),
        "{}",
        pods.message()
    );
    let grouped = [bot, ("Impersonate-Group", "g")];
    assert_eq!(cluster.as_alice("POST", SELF, &grouped).await.code, 403);
}

#[tokio::test]
async fn who_is_acted_as_has_the_groups_that_go_with_the_name() {
    let cluster = Cluster::start().await;
    let x = ("Impersonate-User", "x");
    assert_eq!(
        cluster
            .becomes(&[
                x,
                ("Impersonate-Group", "system:masters"),
                ("Impersonate-Uid", "7"),
                ("Impersonate-Extra-Foo%2fBar", "5"),
                ("Impersonate-Extra-Foo%2fBar", "6"),
            ])
            .await,
        json!({
            "username": "x", "uid": "7", "groups": ["system:masters", "system:authenticated"],
            "extra": {"foo/bar": ["5", "6"]},
        })
    );
    let groups = [
        ("Impersonate-Group", "b"),
        ("Impersonate-Group", "system:authenticated"),
    ];
    assert_eq!(
        cluster.becomes(&[x, groups[0], groups[1]]).await["groups"],
        json!(["b", "system:authenticated"])
    );
    let anonymous = [("Impersonate-User", "system:anonymous")];
    let refused = cluster.ask("GET", "/api/v1/pods", &anonymous, "").await;
    assert!(
        refused
            .message()
            .starts_with("pods is forbidden: User \"system:anonymous\" cannot list"),
        "{}",
        refused.message()
    );
}

#[tokio::test]
async fn parts_of_a_user_without_its_name_make_no_sense() {
    let cluster = Cluster::start().await;
    let headers = [
        ("Impersonate-Group", "a"),
        ("Impersonate-Uid", "5"),
        ("Impersonate-Extra-Foo%2fbar", "5"),
        ("Impersonate-Extra-Foo", "6"),
    ];
    let refused = cluster.as_alice("GET", "/version", &headers).await;
    assert_eq!(refused.code, 400);
    assert_eq!(
        refused.message(),
        "requested &user.DefaultInfo{Name:\"\", UID:\"5\", Groups:[]string{\"a\"}, \
         Extra:map[string][]string{\"foo\":[]string{\"6\"}, \"foo/bar\":[]string{\"5\"}}} without \
         impersonating a user name"
    );
    let refused = cluster.as_alice("GET", "/version", &headers[1..2]).await;
    assert_eq!(
        refused.message(),
        "requested &user.DefaultInfo{Name:\"\", UID:\"5\", Groups:[]string(nil), \
         Extra:map[string][]string(nil)} without impersonating a user name"
    );
}
