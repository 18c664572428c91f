//! A pod's specification in the runtime's terms: names, namespaces, limits; no containers.

use std::fs;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Pod, PodDNSConfig};

use super::{resources, spec};
use crate::runtime::{Dns, HostAlias, PodSandbox};

/// The domain under which a cluster's names live.
const CLUSTER_DOMAIN: &str = "cluster.local";
/// The kernel's limit for a hostname, without the final zero.
const HOSTNAME_MAX: usize = 63;

/// The kernel's limit for the name of a machine, where the full one is wanted.
const FULL_NAME_MAX: usize = 64;

/// What the runtime makes a pod from.
///
/// # Errors
/// Why it can't, for the user: the name is too long.
pub(super) fn of(pod: &Pod) -> Result<PodSandbox, String> {
    let spec = spec::spec(pod);
    let security = spec.security_context.clone().unwrap_or_default();
    let sysctls = security.sysctls.into_iter().flatten();
    let aliases = spec.host_aliases.iter().flatten();
    let (hostname, domain) = hostname(pod);
    Ok(PodSandbox {
        uid: spec::uid(pod).to_owned(),
        name: spec::name(pod).to_owned(),
        namespace: spec::namespace(pod).to_owned(),
        kernel_hostname: match spec::host_network(pod) {
            true => node_hostname(),
            false => kernel_hostname(pod)?,
        },
        hostname,
        domain,
        host_network: spec::host_network(pod),
        host_pid: spec.host_pid.unwrap_or_default(),
        host_ipc: spec.host_ipc.unwrap_or_default(),
        share_process_namespace: spec.share_process_namespace.unwrap_or_default(),
        sysctls: sysctls.map(|sysctl| (sysctl.name, sysctl.value)).collect(),
        dns: dns(pod),
        host_aliases: aliases
            .filter_map(|alias| {
                Some(HostAlias {
                    ip: alias.ip.parse().ok()?,
                    hostnames: alias.hostnames.clone().unwrap_or_default(),
                })
            })
            .collect(),
        resources: resources::of_pod(pod),
    })
}

/// The name inside the pod, and the domain after it.
pub(super) fn hostname(pod: &Pod) -> (String, Option<String>) {
    let spec = spec::spec(pod);
    if let Some(name) = &spec.hostname_override {
        return (cut(name), None);
    }
    let own = spec.hostname.as_deref().filter(|name| !name.is_empty());
    let name = own.unwrap_or_else(|| spec::name(pod));
    let subdomain = spec.subdomain.as_deref().filter(|name| !name.is_empty());
    let domain = subdomain
        .map(|subdomain| format!("{subdomain}.{}.svc.{CLUSTER_DOMAIN}", spec::namespace(pod)));
    (cut(name), domain)
}

fn node_hostname() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// What `hostname` says inside: with `setHostnameAsFQDN` the full name, if there is a domain.
///
/// # Errors
/// A full name that is too long: it can't be cut without becoming another one.
pub(super) fn kernel_hostname(pod: &Pod) -> Result<String, String> {
    let (name, domain) = hostname(pod);
    let full = spec::spec(pod).set_hostname_as_fqdn == Some(true);
    let Some(domain) = domain.filter(|_| full) else {
        return Ok(name);
    };
    let name = format!("{name}.{domain}");
    if name.len() > FULL_NAME_MAX {
        return Err(format!(
            "failed to construct FQDN from pod hostname and cluster domain, FQDN {name} is too long \
             ({FULL_NAME_MAX} characters is the max, {} characters requested)",
            name.len()
        ));
    }
    Ok(name)
}

/// A longer name is cut, and does not end in what a name can't end in.
fn cut(name: &str) -> String {
    let end = name.len().min(HOSTNAME_MAX);
    // Names are ASCII: the API server has checked them.
    let name = name.get(..end).unwrap_or(name);
    name.trim_end_matches(['-', '.']).to_owned()
}

/// `dnsPolicy` and `dnsConfig`. As long as the cluster has no name server of its own, `ClusterFirst` is
/// `Default`: what the node uses, which the runtime takes for an empty [`Dns`].
fn dns(pod: &Pod) -> Dns {
    let spec = spec::spec(pod);
    let own = spec.dns_config.as_ref();
    if spec.dns_policy.as_deref() == Some("None") {
        return merged(Dns::default(), own);
    }
    match own {
        None => Dns::default(),
        Some(_) => {
            let node = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
            merged(parse(&node), own)
        }
    }
}

fn parse(text: &str) -> Dns {
    let mut dns = Dns::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => dns
                .servers
                .extend(words.next().and_then(|w| w.parse::<IpAddr>().ok())),
            Some("search") => dns.searches = words.map(str::to_owned).collect(),
            Some("options") => dns.options.extend(words.map(str::to_owned)),
            _ => {}
        }
    }
    dns
}

fn merged(mut dns: Dns, own: Option<&PodDNSConfig>) -> Dns {
    let Some(own) = own else { return dns };
    let servers = own.nameservers.iter().flatten();
    let servers = servers.filter_map(|server| server.parse::<IpAddr>().ok());
    for server in servers {
        if !dns.servers.contains(&server) {
            dns.servers.push(server);
        }
    }
    for search in own.searches.iter().flatten() {
        if !dns.searches.contains(search) {
            dns.searches.push(search.clone());
        }
    }
    for option in own.options.iter().flatten() {
        let name = option.name.clone().unwrap_or_default();
        dns.options
            .retain(|known| known.split(':').next() != Some(&name));
        dns.options.push(match &option.value {
            Some(value) => format!("{name}:{value}"),
            None => name,
        });
    }
    dns
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{PodDNSConfigOption, PodSpec};

    use super::*;

    #[test]
    fn a_long_name_is_cut_and_ends_in_a_letter_or_digit() {
        let name = format!("{}-.x", "a".repeat(61));
        assert_eq!(cut(&name), "a".repeat(61));
        assert_eq!(cut("web"), "web");
    }

    #[test]
    fn the_pods_own_dns_settings_come_after_the_nodes_and_replace_its_options() {
        let node = parse("# made\nsearch a b\nnameserver 10.0.0.1\noptions ndots:1 rotate\n");
        let own = PodDNSConfig {
            nameservers: Some(vec!["10.0.0.1".to_owned(), "10.0.0.2".to_owned()]),
            searches: Some(vec!["c".to_owned()]),
            options: Some(vec![PodDNSConfigOption {
                name: Some("ndots".to_owned()),
                value: Some("5".to_owned()),
            }]),
        };
        let dns = merged(node, Some(&own));
        assert_eq!(dns.servers.len(), 2);
        assert_eq!(dns.searches, ["a", "b", "c"]);
        assert_eq!(dns.options, ["rotate", "ndots:5"]);
    }

    #[test]
    fn a_subdomain_gives_a_full_name() {
        let mut pod = Pod::default();
        pod.metadata.name = Some("web-0".to_owned());
        pod.metadata.namespace = Some("shop".to_owned());
        pod.spec = Some(PodSpec {
            subdomain: Some("web".to_owned()),
            ..PodSpec::default()
        });
        let expected = (
            "web-0".to_owned(),
            Some("web.shop.svc.cluster.local".to_owned()),
        );
        assert_eq!(hostname(&pod), expected);
        assert_eq!(kernel_hostname(&pod).as_deref(), Ok("web-0"));
    }

    #[test]
    fn the_full_name_is_the_hosts_name_if_asked_for_and_short_enough() {
        let mut pod = Pod::default();
        pod.metadata.name = Some("p".to_owned());
        pod.metadata.namespace = Some("shop".to_owned());
        let spec = pod.spec.get_or_insert_default();
        spec.set_hostname_as_fqdn = Some(true);
        spec.hostname = Some("h1".to_owned());
        assert_eq!(kernel_hostname(&pod).as_deref(), Ok("h1"));
        let subdomain = |pod: &mut Pod, name: &str| {
            pod.spec.get_or_insert_default().subdomain = Some(name.to_owned());
        };
        subdomain(&mut pod, "sub");
        let full = "h1.sub.shop.svc.cluster.local";
        assert_eq!(kernel_hostname(&pod).as_deref(), Ok(full));
        let longest = "s".repeat(FULL_NAME_MAX - full.len() + 3);
        subdomain(&mut pod, &longest);
        assert_eq!(kernel_hostname(&pod).map(|name| name.len()), Ok(64));
        subdomain(&mut pod, &format!("{longest}s"));
        let why = kernel_hostname(&pod).expect_err("too long");
        assert!(why.ends_with("is too long (64 characters is the max, 65 characters requested)"));
    }
}
