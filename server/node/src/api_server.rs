//! Where containers find the API server.
//!
//! In a network of their own they are told the first address of the Services' range, as in every cluster, and the
//! node leads it to the server, wherever that is by now. On the node's network they are told what the node itself
//! uses: a machine may have nodes of several clusters, and the address is the same in all of them.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::network::ApiService;

/// The port of the Service `kubernetes`.
const PORT: u16 = 443;

/// The API server as a node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiServer {
    /// The name or address under which the node itself reaches it; its certificate is valid for this.
    pub host: String,
    /// The port there.
    pub port: u16,
    /// The same as an address; pods have IPv4 networks, so without one there is no way from those.
    pub address: Option<Ipv4Addr>,
    /// The address of the Service `kubernetes`: the first of the Services' range.
    pub service: Ipv4Addr,
}

impl ApiServer {
    /// What the node's network has to do for pods.
    pub(crate) fn service(&self) -> Option<ApiService> {
        Some(ApiService {
            service: SocketAddrV4::new(self.service, PORT),
            server: SocketAddrV4::new(self.address?, self.port),
        })
    }

    /// The variables that every container gets for the Service `kubernetes`.
    pub(crate) fn variables(&self, host_network: bool) -> Vec<(String, String)> {
        let (host, port) = if host_network || self.address.is_none() {
            (self.host.clone(), self.port)
        } else {
            (self.service.to_string(), PORT)
        };
        let url = match host.contains(':') {
            true => format!("tcp://[{host}]:{port}"),
            false => format!("tcp://{host}:{port}"),
        };
        let own = format!("PORT_{port}_TCP");
        let variables = [
            ("SERVICE_HOST".to_owned(), host.clone()),
            ("SERVICE_PORT".to_owned(), port.to_string()),
            ("SERVICE_PORT_HTTPS".to_owned(), port.to_string()),
            ("PORT".to_owned(), url.clone()),
            (own.clone(), url),
            (format!("{own}_PROTO"), "tcp".to_owned()),
            (format!("{own}_PORT"), port.to_string()),
            (format!("{own}_ADDR"), host),
        ];
        variables
            .into_iter()
            .map(|(name, value)| (format!("KUBERNETES_{name}"), value))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(server: &ApiServer, host_network: bool, name: &str) -> Option<String> {
        let all = server.variables(host_network);
        let found = all.into_iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value)
    }

    #[test]
    fn pods_are_told_the_service_and_those_on_the_nodes_network_the_server() {
        let mut server = ApiServer {
            host: "api.example".to_owned(),
            port: 6443,
            address: Some(Ipv4Addr::new(192, 0, 2, 1)),
            service: Ipv4Addr::new(10, 96, 0, 1),
        };
        for (host_network, name, expected) in [
            (false, "KUBERNETES_SERVICE_HOST", "10.96.0.1"),
            (false, "KUBERNETES_SERVICE_PORT", "443"),
            (false, "KUBERNETES_PORT", "tcp://10.96.0.1:443"),
            (false, "KUBERNETES_PORT_443_TCP_ADDR", "10.96.0.1"),
            (true, "KUBERNETES_SERVICE_HOST", "api.example"),
            (true, "KUBERNETES_SERVICE_PORT_HTTPS", "6443"),
        ] {
            assert_eq!(
                value(&server, host_network, name).as_deref(),
                Some(expected)
            );
        }
        // No IPv4 address, no way for the service's: the truth may still be of use.
        server.address = None;
        server.host = "2001:db8::1".to_owned();
        let told = value(&server, false, "KUBERNETES_PORT");
        assert_eq!(told.as_deref(), Some("tcp://[2001:db8::1]:6443"));
        assert!(server.service().is_none());
    }
}
