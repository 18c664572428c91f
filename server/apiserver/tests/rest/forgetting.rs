//! What is superseded is forgotten after a while, and asking for it says so.

use std::time::Duration;

use crate::harness::{CONFIG_MAPS, Cluster};

#[tokio::test(flavor = "multi_thread")]
async fn lists_watches_and_tokens_of_forgotten_revisions_get_410() {
    let cluster = Cluster::forgetting_every(Duration::from_millis(50)).await;
    let first = cluster.config_map("a", "x").await;
    let old = first["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    cluster.config_map("b", "x").await;
    let page = cluster.get(&format!("{CONFIG_MAPS}?limit=1")).await.json();
    let token = page["metadata"]["continue"].as_str().unwrap().to_owned();

    // Each write makes a revision that the next interval forgets.
    let exact = format!("{CONFIG_MAPS}?resourceVersion={old}&resourceVersionMatch=Exact");
    let mut made = 0;
    let refused = loop {
        cluster.config_map(&format!("more-{made}"), "x").await;
        made += 1;
        let answer = cluster.get(&exact).await;
        if answer.code != 200 {
            break answer;
        }
        assert!(made < 100_000, "nothing is ever forgotten");
    };
    assert_eq!(refused.code, 410);
    assert_eq!(refused.json()["reason"], "Expired");
    assert!(refused.message().starts_with("too old resource version: "));

    let next = format!("{CONFIG_MAPS}?limit=1&continue={token}");
    let expired = loop {
        cluster.config_map(&format!("more-{made}"), "x").await;
        made += 1;
        let answer = cluster.get(&next).await;
        if answer.code != 200 {
            break answer.json();
        }
        assert!(made < 100_000, "nothing is ever forgotten");
    };
    assert_eq!(expired["code"], 410);
    let inconsistent = expired["metadata"]["continue"].as_str().unwrap();
    let url = format!("{CONFIG_MAPS}?limit=1&continue={inconsistent}");
    let rest = cluster.get(&url).await.json();
    assert_eq!(rest["items"][0]["metadata"]["name"], "b");
}
