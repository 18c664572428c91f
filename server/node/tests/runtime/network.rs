//! The pods' network.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};

use node::network::ApiService;

use crate::harness::{Machine, logged};

#[tokio::test(flavor = "multi_thread")]
async fn pods_reach_each_other_and_the_node_reaches_them() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let server = machine.pod().await;
    let spec = machine.spec("serve", &["serve", "80"]);
    let log = spec.log_path.clone();
    server.start_container(spec).await.expect("starts");
    logged(&log, "listening").await;
    let address = format!("{}:80", server.addresses()[0]);
    let client = machine.pod().await;
    assert_ne!(client.addresses(), server.addresses());
    let (answer, _) = machine
        .run(&client, machine.spec("fetch", &["fetch", &address]))
        .await;
    assert_eq!(
        answer,
        format!("hello {}\n", client.addresses()[0]),
        "seen under its own address"
    );
    let (answer, _) = machine
        .run(&server, machine.spec("self", &["fetch", "127.0.0.1:80"]))
        .await;
    assert_eq!(answer, "hello 127.0.0.1\n");
    let mut text = String::new();
    let mut stream = TcpStream::connect(&address).expect("the node reaches the pod");
    stream.read_to_string(&mut text).expect("read");
    assert!(text.starts_with("hello "));
    let stats = client
        .stats()
        .await
        .expect("stats")
        .network
        .expect("an interface of its own");
    assert!(stats.received > 0 && stats.sent > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_on_the_nodes_network_has_the_nodes_addresses() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let mut sandbox = machine.sandbox();
    sandbox.host_network = true;
    let pod = machine.pod_from(sandbox).await;
    assert_eq!(pod.addresses(), [machine.options.node_address]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address").to_string();
    let served = std::thread::spawn(move || listener.accept().map(drop));
    let (_, exit) = machine
        .run(&pod, machine.spec("fetch", &["fetch", &address]))
        .await;
    assert_eq!(exit.code, 0);
    served.join().expect("no panic").expect("reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pods_sysctls_are_its_own() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let name = "net.ipv4.ip_unprivileged_port_start";
    let mut sandbox = machine.sandbox();
    sandbox.sysctls.insert(name.to_owned(), "77".to_owned());
    let pod = machine.pod_from(sandbox).await;
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    let (value, _) = machine
        .run(&pod, machine.spec("cat", &["cat", &path]))
        .await;
    assert_eq!(value, "77\n");
    assert_ne!(std::fs::read_to_string(&path).expect("readable"), "77\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_user_may_listen_on_any_port_of_its_pod() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let mut spec = machine.spec("serve", &["serve", "80"]);
    spec.security.run_as_user = Some(33);
    spec.security.no_new_privileges = true;
    spec.security.capabilities.drop = vec!["ALL".to_owned()];
    let log = spec.log_path.clone();
    pod.start_container(spec).await.expect("starts");
    logged(&log, "listening").await;
    let ping = "/proc/sys/net/ipv4/ping_group_range";
    let (range, _) = machine
        .run(&pod, machine.spec("ping", &["cat", ping]))
        .await;
    assert_eq!(range, "0\t2147483647\n");
    // Not on the node's network, which is not the pod's to change.
    let before = std::fs::read_to_string(ping).expect("readable");
    let mut sandbox = machine.sandbox();
    sandbox.host_network = true;
    machine.pod_from(sandbox).await;
    assert_eq!(std::fs::read_to_string(ping).expect("readable"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_of_the_api_server_leads_to_it_wherever_it_listens() {
    let service = "10.96.0.1:443".parse().expect("an address");
    for host in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
        let listener = TcpListener::bind((host, 0)).expect("bound");
        let port = listener.local_addr().expect("an address").port();
        let api = ApiService {
            service,
            server: SocketAddrV4::new(host, port),
        };
        let Some(machine) = Machine::start_with(Some(api)) else {
            return;
        };
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            stream.write_all(b"the server").expect("written");
        });
        let pod = machine.pod().await;
        let fetch = machine.spec("fetch", &["fetch", "10.96.0.1:443"]);
        let (answer, _) = machine.run(&pod, fetch).await;
        assert_eq!(answer, "the server\n", "listening on {host}");
        served.join().expect("no panic");
        let other = machine.spec("other", &["fetch", "10.96.0.1:444"]);
        assert_ne!(machine.run(&pod, other).await.1.code, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_pods_address_can_be_had_again_and_its_link_is_gone() {
    let Some(machine) = Machine::start() else {
        return;
    };
    let pod = machine.pod().await;
    let used = || {
        let files = std::fs::read_dir(machine.options.run_dir.join("network/addresses"));
        files.expect("readable").count()
    };
    let bridge = node::network::bridge_name(&machine.options.run_dir);
    let ports = || {
        std::fs::read_dir(format!("/sys/class/net/{bridge}/brif"))
            .expect("readable")
            .count()
    };
    assert_eq!((used(), ports()), (1, 1));
    pod.remove().await.expect("removed");
    assert_eq!((used(), ports()), (0, 0));
}
