//! A cluster of one `ctld server`, with directories, a port and names of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::http::Api;
use crate::{eventually, programs};

const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(30);

/// A running cluster, ended and removed when it goes out of scope.
pub struct Cluster {
    home: TempDir,
    flags: Vec<String>,
    server: Option<Child>,
    /// Where the API is served, such as `https://127.0.0.1:40123`.
    pub url: String,
}

impl Cluster {
    /// An API server with controllers and scheduler, but no worker: for tests of the API.
    pub fn without_worker() -> Self {
        Self::start(&["--no-worker"])
    }

    /// A whole cluster. Needs root: see [`crate::root_or_skip`].
    ///
    /// It takes pods also on a machine that is short of disk: that is not what tests are about.
    pub fn with_worker() -> Self {
        Self::start(&["--eviction-hard", "nodefs.available<0%"])
    }

    /// A cluster with these further flags.
    pub fn start(flags: &[&str]) -> Self {
        let home = tempfile::Builder::new().prefix("ctld-test-").tempdir();
        let mut cluster = Self {
            home: home.expect("a temporary directory can be made"),
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            server: None,
            url: String::new(),
        };
        cluster.boot();
        cluster
    }

    /// Starts the server again, after [`Cluster::kill`] or [`Cluster::terminate`].
    pub fn boot(&mut self) {
        assert!(self.server.is_none(), "the server runs already");
        // A restarted server keeps its port, so that clients find it again.
        let port = self.url.rsplit(':').next().filter(|port| !port.is_empty());
        let mut server = self
            .ctld("server")
            .args(["--secure-port", port.unwrap_or("0")])
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ctld can be started");
        let stderr = server.stderr.take().expect("stderr is a pipe");
        let (sender, ready) = mpsc::channel();
        let log = self.home.path().join("ctld.log");
        thread::spawn(move || {
            let mut all = String::new();
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                all.push_str(&line);
                all.push('\n');
                let _ = fs::write(&log, &all);
                if line.contains("ready after") {
                    let _ = sender.send(line);
                }
            }
        });
        let line = ready.recv_timeout(START);
        self.server = Some(server);
        let line = line.unwrap_or_else(|_| panic!("ctld did not get ready:\n{}", self.log()));
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("https://"));
        self.url = url.expect("the ready line names the URL").to_owned();
    }

    /// A command of `ctld` for this cluster's directories.
    pub fn ctld(&self, subcommand: &str) -> Command {
        let mut command = programs::ctld();
        command
            .arg(subcommand)
            .arg("--data-dir")
            .arg(self.data_dir())
            .arg("--run-dir")
            .arg(self.run_dir());
        command
    }

    /// A command of `ctl` as the administrator.
    pub fn ctl(&self, arguments: &[&str]) -> Command {
        let mut command = programs::ctl(&self.kubeconfig());
        command.args(arguments).env("HOME", self.home.path());
        command
    }

    /// An HTTP client with the administrator's certificate.
    pub fn api(&self) -> Api {
        Api::admin(&self.url, &self.kubeconfig())
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.data_dir().join("admin.kubeconfig")
    }

    /// What survives a restart.
    pub fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// What does not survive a reboot.
    pub fn run_dir(&self) -> PathBuf {
        self.home.path().join("run")
    }

    /// A directory for the test's own files.
    pub fn scratch(&self) -> &Path {
        self.home.path()
    }

    /// What the server has written to standard error until now.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("ctld.log")).unwrap_or_default()
    }

    /// The process id of the server.
    pub fn pid(&self) -> u32 {
        self.server.as_ref().expect("the server runs").id()
    }

    /// Ends the server with SIGKILL.
    pub fn kill(&mut self) {
        let mut server = self.server.take().expect("the server runs");
        server.kill().expect("the server can be killed");
        server.wait().expect("the server can be waited for");
    }

    /// Ends the server with SIGTERM and waits for it.
    pub fn terminate(&mut self) {
        let mut server = self.server.take().expect("the server runs");
        let pid = i32::try_from(server.id()).expect("a process id is positive");
        kill(Pid::from_raw(pid), Signal::SIGTERM).expect("the server can be signalled");
        eventually("ctld to stop on SIGTERM", STOP, || {
            server.try_wait().ok().flatten()
        });
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
        if thread::panicking() {
            eprintln!("--- ctld said:\n{}", self.log());
        }
        // Containers outlive the server: they, their mounts, cgroups and links go now.
        let _ = self.ctld("stop").stdout(Stdio::null()).status();
    }
}
