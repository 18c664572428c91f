//! The real etcd and kube-apiserver, started with the certificates of one of our clusters.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::cluster::Cluster;
use tests::eventually_async;
use tests::http::Api;

/// A running pair, ended when it goes out of scope.
pub(crate) struct Peer {
    home: Arc<TempDir>,
    etcd: Child,
    apiserver: Child,
    /// Where the API is served.
    pub(crate) url: String,
    /// From the first exec to `/readyz`.
    pub(crate) start: Duration,
}

impl Peer {
    /// Starts a pair that knows nothing yet.
    pub(crate) fn start(binaries: &Path, cluster: &Cluster) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory can be made");
        Self::start_in(Arc::new(home), binaries, cluster)
    }

    /// Ends this pair and starts another on its data.
    pub(crate) fn restart(self, binaries: &Path, cluster: &Cluster) -> Self {
        let home = Arc::clone(&self.home);
        drop(self);
        Self::start_in(home, binaries, cluster)
    }

    fn start_in(home: Arc<TempDir>, binaries: &Path, cluster: &Cluster) -> Self {
        let [client, peer, secure] = [free_port(), free_port(), free_port()];
        let begin = Instant::now();
        let client_url = format!("http://127.0.0.1:{client}");
        let peer_url = format!("http://127.0.0.1:{peer}");
        let etcd = quiet(&binaries.join("etcd"))
            .arg("--data-dir")
            .arg(home.path().join("etcd"))
            .args([
                "--listen-client-urls",
                &client_url,
                "--advertise-client-urls",
                &client_url,
            ])
            .args([
                "--listen-peer-urls",
                &peer_url,
                "--initial-advertise-peer-urls",
                &peer_url,
            ])
            .args(["--initial-cluster", &format!("default={peer_url}")])
            .args([
                "--log-level",
                "error",
                "--quota-backend-bytes",
                "8589934592",
            ])
            .spawn()
            .expect("etcd can be started");
        let pki = cluster.data_dir().join("pki");
        let file = |name: &str| pki.join(name).to_string_lossy().into_owned();
        let apiserver = quiet(&binaries.join("kube-apiserver"))
            .args(["--etcd-servers", &client_url, "--bind-address", "127.0.0.1"])
            .args([
                "--advertise-address",
                "127.0.0.1",
                "--secure-port",
                &secure.to_string(),
            ])
            .args([
                "--endpoint-reconciler-type",
                "none",
                "--allow-privileged=true",
            ])
            .args(["--tls-cert-file", &file("apiserver.crt")])
            .args(["--tls-private-key-file", &file("apiserver.key")])
            .args(["--client-ca-file", &file("ca.crt")])
            .args(["--service-account-issuer", "https://kubernetes.default.svc"])
            .args(["--service-account-key-file", &file("sa.pub")])
            .args(["--service-account-signing-key-file", &file("sa.key")])
            .args([
                "--service-cluster-ip-range",
                "10.96.0.0/16",
                "--anonymous-auth=false",
            ])
            .args(["--authorization-mode", "Node,RBAC"])
            .spawn()
            .expect("kube-apiserver can be started");
        let url = format!("https://127.0.0.1:{secure}");
        let mut started = Self {
            home,
            etcd,
            apiserver,
            url,
            start: Duration::ZERO,
        };
        let api = Api::admin(&started.url, &cluster.kubeconfig());
        crate::load::run(eventually_async(
            "kube-apiserver",
            Duration::from_secs(60),
            || async {
                let answer = api.request(reqwest::Method::GET, "/readyz").send().await;
                answer.ok().filter(|answer| answer.status().is_success())
            },
        ));
        started.start = begin.elapsed();
        // `/readyz` says ok before this namespace is there.
        crate::load::run(eventually_async(
            "the default namespace",
            Duration::from_secs(60),
            || async {
                let answer = api.get("/api/v1/namespaces/default").await;
                (answer.code == 200).then_some(())
            },
        ));
        started
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        vec![self.etcd.id(), self.apiserver.id()]
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        for child in [&mut self.apiserver, &mut self.etcd] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener
        .local_addr()
        .expect("a listener has an address")
        .port()
}
