//! The pod's namespaces, and the files that its containers share.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal};

use super::protocol::Setup;
use super::wait;
use crate::network::{self, Route};
use crate::runtime::{Error, PodSandbox};

/// Puts this process into the pod's namespaces and connects its network. Containers are forked from here and stay in them.
pub(super) fn enter(setup: &Setup) -> Result<(), Error> {
    let sandbox = &setup.sandbox;
    let network = |error: network::Error| Error::Network(error.to_string());
    // Opened before the network is left: its requests go to the node's.
    let mut node = Route::open().map_err(network)?;
    let mut flags = CloneFlags::empty();
    flags.set(CloneFlags::CLONE_NEWIPC, !sandbox.host_ipc);
    let own = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS;
    flags.set(own, !sandbox.host_network);
    unshare(flags).map_err(|errno| Error::io("make namespaces")(errno.into()))?;
    if !sandbox.host_network {
        nix::unistd::sethostname(&sandbox.kernel_hostname)
            .map_err(|errno| Error::io("set the host name")(errno.into()))?;
        network::loopback_up().map_err(network)?;
        if let Some(attachment) = &setup.attachment {
            attachment.attach(&mut node).map_err(network)?;
        }
    }
    for (name, value) in sysctls(sandbox) {
        set_sysctl(&name, &value)?;
    }
    Ok(())
}

/// What a pod's own network has unless the pod says otherwise: any process may listen on any port and ping.
const NETWORK_SYSCTLS: [(&str, &str); 2] = [
    ("net/ipv4/ip_unprivileged_port_start", "0"),
    ("net/ipv4/ping_group_range", "0 2147483647"),
];

/// The kernel parameters of a pod by their path below /proc/sys; containerd has the same defaults.
fn sysctls(sandbox: &PodSandbox) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    if !sandbox.host_network {
        let defaults = NETWORK_SYSCTLS.into_iter();
        all.extend(defaults.map(|(path, value)| (path.to_owned(), value.to_owned())));
    }
    let own = sandbox.sysctls.iter();
    all.extend(own.map(|(name, value)| (sysctl_path(name), value.clone())));
    all
}

/// The path of a parameter. The first of its separators tells which of the two it uses; the other one stands for
/// itself there: `net.ipv4.conf.eth0/1.x` is `net/ipv4/conf/eth0.1/x`.
fn sysctl_path(name: &str) -> String {
    match name.find(['.', '/']).map(|at| name.as_bytes()[at]) {
        Some(b'.') => {
            let swap = |character| match character {
                '.' => '/',
                '/' => '.',
                other => other,
            };
            name.chars().map(swap).collect()
        }
        _ => name.to_owned(),
    }
}

/// Sets a kernel parameter, by its path, of the namespaces this process is in.
fn set_sysctl(path: &str, value: &str) -> Result<(), Error> {
    let failed = |why: &str| Error::InvalidSpec(format!("sysctl {path}: {why}"));
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(failed("no such parameter"));
    }
    std::fs::write(Path::new("/proc/sys").join(path), value)
        .map_err(|error| failed(&error.to_string()))
}

/// Makes what all containers get: /etc/hosts, /etc/hostname, /etc/resolv.conf, /dev/shm. Gives path inside and on the host.
pub(super) fn files(folder: &Path, setup: &Setup) -> Result<Vec<(&'static str, PathBuf)>, Error> {
    let sandbox = &setup.sandbox;
    let etc = folder.join("etc");
    std::fs::create_dir_all(&etc).map_err(Error::io("make the pod's etc"))?;
    let address = setup
        .attachment
        .as_ref()
        .map(|attachment| attachment.address);
    let node_file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let hosts = if sandbox.host_network {
        node_file("/etc/hosts") + &aliases(sandbox)
    } else {
        hosts(sandbox, address)
    };
    let resolver = if sandbox.dns == crate::runtime::Dns::default() {
        node_file("/etc/resolv.conf")
    } else {
        resolver(sandbox)
    };
    let host_name = if sandbox.host_network {
        node_file("/etc/hostname")
    } else {
        format!("{}\n", sandbox.kernel_hostname)
    };
    let mut files = Vec::new();
    let texts = [
        ("/etc/hosts", hosts),
        ("/etc/hostname", host_name),
        ("/etc/resolv.conf", resolver),
    ];
    for (target, text) in texts {
        let path = etc.join(target.trim_start_matches("/etc/"));
        let written =
            std::fs::File::create(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(Error::io(format!("write {}", path.display())))?;
        files.push((target, path));
    }
    files.push(("/dev/shm", shared_memory(folder, sandbox)?));
    Ok(files)
}

/// The pod's own /dev/shm, or the node's.
fn shared_memory(folder: &Path, sandbox: &PodSandbox) -> Result<PathBuf, Error> {
    if sandbox.host_ipc {
        return Ok(PathBuf::from("/dev/shm"));
    }
    let path = folder.join("shm");
    std::fs::create_dir_all(&path).map_err(Error::io("make the pod's shm"))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(
        Some("shm"),
        &path,
        Some("tmpfs"),
        flags,
        Some("mode=1777,size=65536k"),
    )
    .map_err(|errno| Error::io("mount shm")(errno.into()))?;
    Ok(path)
}

/// As the kubelet writes it; programs look for its first line.
fn hosts(sandbox: &PodSandbox, address: Option<Ipv4Addr>) -> String {
    let mut text = "# Kubernetes-managed hosts file.\n\
        127.0.0.1\tlocalhost\n\
        ::1\tlocalhost ip6-localhost ip6-loopback\n\
        fe00::0\tip6-localnet\n\
        fe00::0\tip6-mcastprefix\n\
        fe00::1\tip6-allnodes\n\
        fe00::2\tip6-allrouters\n"
        .to_owned();
    if let Some(address) = address {
        let name = &sandbox.hostname;
        let line = match &sandbox.domain {
            Some(domain) => format!("{address}\t{name}.{domain}\t{name}\n"),
            None => format!("{address}\t{name}\n"),
        };
        text.push_str(&line);
    }
    text + &aliases(sandbox)
}

fn aliases(sandbox: &PodSandbox) -> String {
    if sandbox.host_aliases.is_empty() {
        return String::new();
    }
    let line = |alias: &crate::runtime::HostAlias| {
        format!("{}\t{}\n", alias.ip, alias.hostnames.join("\t"))
    };
    let lines: String = sandbox.host_aliases.iter().map(line).collect();
    format!("\n# Entries added by HostAliases.\n{lines}")
}

fn resolver(sandbox: &PodSandbox) -> String {
    let mut text = String::new();
    if !sandbox.dns.searches.is_empty() {
        text += &format!("search {}\n", sandbox.dns.searches.join(" "));
    }
    for server in &sandbox.dns.servers {
        text += &format!("nameserver {server}\n");
    }
    if !sandbox.dns.options.is_empty() {
        text += &format!("options {}\n", sandbox.dns.options.join(" "));
    }
    text
}

/// Starts the first process of a process namespace that all containers share; gives its pid here.
///
/// It does what a first process must, collecting orphans, and ends with the shim.
pub(super) fn start_init() -> Result<i32, Error> {
    // SAFETY: like fork, of a process with one thread.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone,
            libc::CLONE_NEWPID | libc::SIGCHLD,
            0,
            0,
            0,
            0,
        )
    };
    match pid {
        -1 => Err(Error::io("make a process namespace")(
            std::io::Error::last_os_error(),
        )),
        0 => be_init(),
        pid => Ok(pid as i32),
    }
}

fn be_init() -> ! {
    // Among what was inherited is the pipe whose end tells the agent that the pod is ready.
    // SAFETY: closes descriptors of a process that uses none of them from here on.
    unsafe { libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0) };
    // Without the shim there is nobody to end the pod: this ends all of it, as the first process' end ends a namespace.
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    let mut awaited = SigSet::empty();
    awaited.add(Signal::SIGCHLD);
    loop {
        // SIGCHLD is blocked here as in the shim, so it waits for us.
        let _ = awaited.wait();
        while let Ok(Some(_)) = wait::collect(None) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Dns, HostAlias};

    #[test]
    fn hosts_holds_the_pods_names_and_aliases() {
        let sandbox = PodSandbox {
            hostname: "web-0".to_owned(),
            domain: Some("web.default.svc.cluster.local".to_owned()),
            host_aliases: vec![HostAlias {
                ip: [10, 0, 0, 1].into(),
                hostnames: vec!["a".to_owned(), "b".to_owned()],
            }],
            ..PodSandbox::default()
        };
        let text = hosts(&sandbox, Some(Ipv4Addr::new(10, 1, 2, 3)));
        assert!(text.starts_with("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"));
        assert!(text.contains("10.1.2.3\tweb-0.web.default.svc.cluster.local\tweb-0\n"));
        assert!(text.ends_with("# Entries added by HostAliases.\n10.0.0.1\ta\tb\n"));
    }

    #[test]
    fn the_resolver_file_has_searches_servers_and_options() {
        let sandbox = PodSandbox {
            dns: Dns {
                servers: vec![[10, 96, 0, 10].into()],
                searches: vec!["default.svc.cluster.local".to_owned()],
                options: vec!["ndots:5".to_owned()],
            },
            ..PodSandbox::default()
        };
        assert_eq!(
            resolver(&sandbox),
            "search default.svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
        );
    }

    #[test]
    fn a_sysctl_can_not_leave_its_folder() {
        for name in [
            "net/../../etc/passwd",
            "net..ipv4",
            "/etc/passwd",
            "../x",
            "",
        ] {
            assert!(set_sysctl(&sysctl_path(name), "x").is_err(), "{name}");
        }
    }

    #[test]
    fn a_sysctl_is_the_same_with_either_separator() {
        for name in ["net.ipv4.conf.eth0/1.x", "net/ipv4/conf/eth0.1/x"] {
            assert_eq!(sysctl_path(name), "net/ipv4/conf/eth0.1/x");
        }
    }

    #[test]
    fn ports_and_pings_are_everybodys_unless_the_pod_says_otherwise_or_is_on_the_nodes_network() {
        let ports = "net/ipv4/ip_unprivileged_port_start";
        let mut sandbox = PodSandbox::default();
        assert_eq!(sysctls(&sandbox)[ports], "0");
        assert_eq!(
            sysctls(&sandbox)["net/ipv4/ping_group_range"],
            "0 2147483647"
        );
        let own = ports.replace('/', ".");
        sandbox.sysctls.insert(own, "1024".to_owned());
        assert_eq!(sysctls(&sandbox)[ports], "1024");
        sandbox.sysctls.clear();
        sandbox.host_network = true;
        assert!(sysctls(&sandbox).is_empty());
    }
}
