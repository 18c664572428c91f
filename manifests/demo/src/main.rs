//! `cargo demo`: one command from a checkout to a running cluster, and `cargo demo stop`.
//!
//! Depends on nothing, so that it can refuse before anything else is compiled. All that it starts
//! keeps its state below `target/demo`; the run directory is `/run/ctld-demo`.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const RUN_DIR: &str = "/run/ctld-demo";
const PORT: &str = "7443";
const USAGE: &str = "\
usage: cargo demo          build, start and show a cluster
       cargo demo stop     end the cluster and its containers, keep its data
       cargo demo wipe     stop, and remove its data";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let demo = Demo::new();
    let outcome = match words.as_slice() {
        [] | ["start"] => root().and_then(|()| demo.show()),
        ["stop"] => root().and_then(|()| demo.stop()),
        ["wipe"] => root().and_then(|()| demo.wipe()),
        ["help" | "-h" | "--help"] => {
            say(USAGE);
            Ok(())
        }
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Containers need namespaces, mounts and cgroups, which the kernel gives to root alone.
fn root() -> Result<(), String> {
    let status = fs::read_to_string("/proc/self/status").map_err(|e| e.to_string())?;
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|ids| ids.split_whitespace().nth(1));
    match effective {
        Some("0") => Ok(()),
        _ => Err(
            "cargo demo needs root: it makes namespaces, mounts, cgroups and a bridge for real containers.\n\
             Run it as root, for example: sudo --preserve-env=PATH,HOME cargo demo"
                .to_owned(),
        ),
    }
}

struct Demo {
    /// The checkout.
    source: PathBuf,
    /// Where cargo puts programs.
    target: PathBuf,
    /// Everything that the demo's cluster keeps.
    home: PathBuf,
}

impl Demo {
    fn new() -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let source = source.canonicalize().unwrap_or(source);
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(directory) => PathBuf::from(directory),
            None => source.join("target"),
        };
        let home = target.join("demo");
        Self {
            source,
            target,
            home,
        }
    }

    fn show(&self) -> Result<(), String> {
        self.build()?;
        let begin = Instant::now();
        self.pack()?;
        self.start_server()?;
        self.run(
            "ctld",
            &[
                "images",
                "import",
                &self.path("image"),
                "--data-dir",
                &self.path("data"),
            ],
        )?;
        let manifests = self.source.join("manifests/demo");
        self.ctl(&["apply", "-f", &text(&manifests)])?;
        self.ctl(&[
            "rollout",
            "status",
            "deployment/web",
            "--namespace",
            "demo",
            "--timeout=60s",
        ])?;
        say("");
        self.ctl(&["get", "pods", "--namespace", "demo", "--output", "wide"])?;
        say("");
        self.fetch()?;
        say(&format!(
            "Up in {:.1} s after the build.",
            begin.elapsed().as_secs_f32()
        ));
        self.next_steps();
        Ok(())
    }

    fn build(&self) -> Result<(), String> {
        say("Building ctl, ctld and the demo's program (release mode) ...");
        self.cargo(&["build", "--package", "ctl", "--package", "ctld"])?;
        self.cargo(&[
            "build",
            "--package",
            "demo",
            "--features",
            "image",
            "--bin",
            "demo-pack",
        ])?;
        let target = text(&self.target.join("static"));
        self.cargo(&[
            "rustc",
            "--package",
            "demo",
            "--features",
            "web",
            "--bin",
            "demo-web",
            "--target-dir",
            &target,
            "--",
            "-C",
            "target-feature=+crt-static",
        ])
    }

    fn pack(&self) -> Result<(), String> {
        let image = self.home.join("image");
        if image.exists() {
            fs::remove_dir_all(&image).map_err(|e| problem(&image, &e))?;
        }
        fs::create_dir_all(&self.home).map_err(|e| problem(&self.home, &e))?;
        self.run("demo-pack", &[&self.web(), &text(&image)])
    }

    /// Starts `ctld server` in the background, unless the one of an earlier call still runs.
    fn start_server(&self) -> Result<(), String> {
        if let Some(pid) = self.server_pid() {
            say(&format!("The cluster runs already (process {pid})."));
            return Ok(());
        }
        let log = self.home.join("ctld.log");
        let output = fs::File::create(&log).map_err(|e| problem(&log, &e))?;
        let errors = output.try_clone().map_err(|e| problem(&log, &e))?;
        let server = Command::new(self.program("ctld"))
            .args([
                "server",
                "--data-dir",
                &self.path("data"),
                "--run-dir",
                RUN_DIR,
            ])
            .args(["--secure-port", PORT])
            // A laptop's disk may be as good as full: the demo needs some megabytes.
            .args([
                "--eviction-hard",
                "memory.available<100Mi,nodefs.available<64Mi",
            ])
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // A group of its own: Ctrl-C in this terminal is not for the cluster.
            .process_group(0)
            .spawn()
            .map_err(|e| format!("can't start ctld: {e}"))?;
        let pid_file = self.home.join("pid");
        fs::write(&pid_file, server.id().to_string()).map_err(|e| problem(&pid_file, &e))?;
        let line = wait_ready(server, &log)?;
        say(&line);
        Ok(())
    }

    /// Asks one pod for its page, from the host.
    fn fetch(&self) -> Result<(), String> {
        let address = self.read_ctl(&[
            "get",
            "pods",
            "--namespace",
            "demo",
            "--selector",
            "app=web",
            "--output",
            "jsonpath={.items[0].status.podIP}",
        ])?;
        let url = format!("http://{}:8080/", address.trim());
        say(&format!("GET {url}"));
        let mut command = Command::new(self.web());
        command.args(["get", &url]);
        finish(command)
    }

    fn next_steps(&self) {
        let ctl = self.program("ctl");
        say(&format!(
            "
Try next:
  export KUBECONFIG={}
  alias ctl={ctl}
  ctl config set-context --current --namespace=demo
  ctl get pods
  ctl logs deployment/web
  ctl exec deployment/web -- /web whoami
  ctl delete pod --selector app=web --wait=false && ctl get pods --watch   # they come back
  ctl scale deployment/web --replicas=5

Stop it with `cargo demo stop`; `cargo demo wipe` also removes its data.",
            self.path("data/admin.kubeconfig")
        ));
    }

    fn stop(&self) -> Result<(), String> {
        let ctld = self.program("ctld");
        if !Path::new(&ctld).exists() {
            say("Nothing runs: the demo has not been built here.");
            return Ok(());
        }
        self.run(
            "ctld",
            &[
                "stop",
                "--data-dir",
                &self.path("data"),
                "--run-dir",
                RUN_DIR,
            ],
        )?;
        let _ = fs::remove_file(self.home.join("pid"));
        say("The cluster and its containers have ended. Start it again with `cargo demo`.");
        Ok(())
    }

    fn wipe(&self) -> Result<(), String> {
        self.stop()?;
        if self.home.exists() {
            fs::remove_dir_all(&self.home).map_err(|e| problem(&self.home, &e))?;
        }
        // Empty since the cluster has stopped.
        match fs::remove_dir(RUN_DIR) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(problem(Path::new(RUN_DIR), &error));
            }
            _ => {}
        }
        say(&format!("{} is gone.", self.home.display()));
        Ok(())
    }

    /// The process of an earlier call, if it still is a ctld.
    fn server_pid(&self) -> Option<u32> {
        let pid: u32 = fs::read_to_string(self.home.join("pid"))
            .ok()?
            .parse()
            .ok()?;
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        (name.trim() == "ctld").then_some(pid)
    }

    fn cargo(&self, arguments: &[&str]) -> Result<(), String> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let (verb, rest) = arguments.split_first().ok_or("no cargo command")?;
        let mut command = Command::new(cargo);
        command.current_dir(&self.source);
        command.args([verb, &"--release", &"--quiet"]).args(rest);
        finish(command)
    }

    fn ctl(&self, arguments: &[&str]) -> Result<(), String> {
        say(&format!("$ ctl {}", arguments.join(" ")));
        let mut command = Command::new(self.program("ctl"));
        command.env("KUBECONFIG", self.path("data/admin.kubeconfig"));
        command.args(arguments);
        finish(command)
    }

    fn read_ctl(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(self.program("ctl"))
            .env("KUBECONFIG", self.path("data/admin.kubeconfig"))
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()
            .map_err(|e| format!("can't run ctl: {e}"))?;
        if !output.status.success() {
            return Err(format!("ctl {} failed", arguments.join(" ")));
        }
        String::from_utf8(output.stdout).map_err(|e| e.to_string())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), String> {
        let mut command = Command::new(self.program(program));
        command.args(arguments);
        finish(command)
    }

    fn program(&self, name: &str) -> String {
        text(&self.target.join("release").join(name))
    }

    /// The statically linked program of the image.
    fn web(&self) -> String {
        text(&self.target.join("static/release/demo-web"))
    }

    fn path(&self, below: &str) -> String {
        text(&self.home.join(below))
    }
}

/// Follows the server's log until it says that it is ready, or has ended.
fn wait_ready(mut server: Child, log: &Path) -> Result<String, String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let file = fs::File::open(log).map_err(|e| problem(log, &e))?;
    let mut lines = BufReader::new(file);
    let mut line = String::new();
    while Instant::now() < deadline {
        let read = lines.read_line(&mut line).map_err(|e| problem(log, &e))?;
        if read > 0 && line.ends_with('\n') {
            if line.contains("ready after") {
                return Ok(line.trim_end().to_owned());
            }
            line.clear();
            continue;
        }
        if let Some(status) = server.try_wait().map_err(|e| problem(log, &e))? {
            let words = fs::read_to_string(log).unwrap_or_default();
            return Err(format!("ctld server ended with {status}:\n{words}"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(format!(
        "ctld server was not ready after 30 s; its log is {}",
        log.display()
    ))
}

fn finish(mut command: Command) -> Result<(), String> {
    let name = Path::new(command.get_program())
        .file_name()
        .and_then(OsStr::to_str)
        .unwrap_or_default()
        .to_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} failed: {status}")),
        Err(error) => Err(format!("can't run {name}: {error}")),
    }
}

fn problem(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn say(line: &str) {
    // A closed stdout is no reason to leave a cluster half started.
    let _ = writeln!(io::stdout(), "{line}");
}
