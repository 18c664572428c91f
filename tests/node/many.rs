//! As many pods as a node takes by default, at once.

use tests::image::WEB;
use tests::pods::{PODS, cluster};
use tests::{PATIENCE, eventually_async};

const COUNT: usize = 100;

#[tokio::test]
async fn a_hundred_pods_come_up_and_go_away_without_an_error() {
    let Some(cluster) = cluster("a_hundred_pods").await else {
        return;
    };
    let api = cluster.api();
    for number in 0..COUNT {
        let pod = serde_json::json!({
            "metadata": {"name": format!("web-{number}")},
            "spec": {
                "terminationGracePeriodSeconds": 10,
                "containers": [{"name": "web", "image": WEB, "imagePullPolicy": "Never"}],
            },
        });
        api.post(PODS, &pod).await.expect(201);
    }
    eventually_async("all pods to run", PATIENCE * 4, || async {
        let running = format!("{PODS}?fieldSelector=status.phase%3DRunning");
        let list = api.get(&running).await.expect(200);
        (list["items"].as_array()?.len() == COUNT).then_some(())
    })
    .await;
    api.delete(PODS).await.expect(200);
    eventually_async("all pods to go", PATIENCE * 4, || async {
        let list = api.get(PODS).await.expect(200);
        list["items"].as_array()?.is_empty().then_some(())
    })
    .await;
    let events = api
        .get("/api/v1/namespaces/default/events?fieldSelector=type%3DWarning")
        .await
        .expect(200);
    assert_eq!(events["items"], serde_json::json!([]), "{events:#}");
}
