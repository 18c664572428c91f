//! Networks: pods reach each other, the host reaches pods, and a pod may live on the host's network.

use serde_json::json;
use tests::cluster::Cluster;
use tests::image;
use tests::pods::{
    cluster, create, default_account, exec, exec_text, ready, ready_node, script, with_ctl,
};

#[tokio::test]
async fn pods_and_host_reach_each_other() {
    let Some(cluster) = cluster("pods_reach_each_other").await else {
        return;
    };
    let api = cluster.api();
    let mut names = Vec::new();
    for name in ["web-a", "web-b"] {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 2, "containers": [{
                "name": "web", "image": image::WEB, "imagePullPolicy": "Never",
                "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
            }]},
        });
        names.push(create(&api, &pod, "the pod to be ready", ready).await);
    }
    let address = names[1]["status"]["podIP"].as_str().expect("an address");
    assert_ne!(names[0]["status"]["podIP"], names[1]["status"]["podIP"]);
    let url = format!("http://{address}:8080/");
    let output = exec(&cluster, "web-a", &["/web", "get", &url]);
    let page = String::from_utf8_lossy(&output.stdout);
    assert!(page.starts_with("Hello from pod web-b"), "{page}");
    let page = reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(tests::http::no_tls())
        .build()
        .expect("a client")
        .get(&url)
        .send()
        .await
        .expect("the host reaches the pod")
        .text()
        .await
        .expect("a page");
    assert!(page.starts_with("Hello from pod web-b"), "{page}");
}

#[tokio::test]
async fn a_pod_on_the_hosts_network_has_the_nodes_address() {
    let Some(cluster) = cluster("a_pod_on_the_hosts_network").await else {
        return;
    };
    let api = cluster.api();
    let mut pod = script("host", "sleep 1000");
    pod["spec"]["hostNetwork"] = json!(true);
    let pod = create(&api, &pod, "the pod to be ready", ready).await;
    assert_eq!(pod["status"]["podIP"], pod["status"]["hostIP"]);
}

#[tokio::test]
async fn a_program_in_a_pod_reaches_the_api_server_where_its_environment_says() {
    let test = "a_program_in_a_pod_reaches";
    for address in ["127.0.0.1", "0.0.0.0"] {
        if !tests::root_or_skip(test) || !image::box_or_skip(test) {
            return;
        }
        let disk = ["--eviction-hard", "nodefs.available<0%"];
        let cluster = Cluster::start(&[disk.as_slice(), &["--bind-address", address]].concat());
        image::import_box(&cluster);
        let api = cluster.api();
        ready_node(&api).await;
        default_account(&api).await;
        for host_network in [false, true] {
            let name = if host_network { "host" } else { "own" };
            let mut pod = with_ctl(name, "sleep 1000");
            pod["spec"]["hostNetwork"] = json!(host_network);
            create(&api, &pod, "the pod to be ready", ready).await;
            // The certificate is checked against the mounted authority, the token against the pod's account.
            let whoami = exec_text(&cluster, name, &["/programs/ctl", "auth", "whoami"]);
            let account = "system:serviceaccount:default:default";
            assert!(whoami.contains(account), "{name} at {address}: {whoami}");
        }
        let host = exec_text(
            &cluster,
            "own",
            &["sh", "-c", "echo $KUBERNETES_SERVICE_HOST"],
        );
        assert_eq!(host, "10.96.0.1\n");
        let port = exec_text(
            &cluster,
            "own",
            &["sh", "-c", "echo $KUBERNETES_SERVICE_PORT"],
        );
        assert_eq!(port, "443\n");
    }
}

#[tokio::test]
async fn what_else_listens_on_the_nodes_loopback_is_out_of_reach_for_pods() {
    let Some(cluster) = cluster("what_else_listens_on_loopback").await else {
        return;
    };
    let api = cluster.api();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut client, b"a secret\n");
        }
    });
    let mut pod = script("attack", "sleep 1000");
    pod["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});
    create(&api, &pod, "the pod to be ready", ready).await;
    // A pod that may change its own network sends what is meant for loopback to the node.
    let text = format!(
        "gateway=$(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p') && \
         own=$(hostname -i) && \
         echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet && \
         ip addr del 127.0.0.1/8 dev lo && \
         ip route add 127.0.0.0/8 via $gateway src $own && \
         echo prepared && timeout 5 nc -w 3 127.0.0.1 {port} < /dev/null; true"
    );
    let said = exec_text(&cluster, "attack", &["sh", "-c", &text]);
    assert_eq!(said, "prepared\n");
}
