//! Addresses that change on their way, in an nf_tables table of the cluster's own:
//!
//! ```text
//! table ip ctl-<hash> {
//!     chain prerouting {
//!         type nat hook prerouting priority dstnat; policy accept;
//!         iifname <bridge> ip daddr <service> tcp dport <port> dnat to <API server>
//!     }
//!     chain postrouting {
//!         type nat hook postrouting priority srcnat; policy accept;
//!         ip saddr <pods> ip daddr != <pods> masquerade
//!     }
//!     chain input {
//!         type filter hook input priority filter; policy accept;
//!         iifname <bridge> ip saddr 127.0.0.0/8 drop
//!         iifname <bridge> ip daddr 127.0.0.0/8 ct status ! dnat drop
//!     }
//! }
//! ```
//!
//! The last chain is there only where the API server listens on loopback alone. Then pods have to get to a loopback
//! address of the node, and the kernel allows that for a whole interface (`route_localnet`); what else listens on
//! loopback stays out of their reach (as CVE-2020-8558 was about).

use std::net::{Ipv4Addr, SocketAddrV4};

use super::nft::{Address, Chain, Transaction};
use super::{Cidr, Error};

// linux/netfilter.h and netfilter_ipv4.h.
const PREROUTING: Chain = Chain {
    name: "prerouting",
    kind: "nat",
    hook: 0,
    priority: -100,
};
const INPUT: Chain = Chain {
    name: "input",
    kind: "filter",
    hook: 1,
    priority: 0,
};
const POSTROUTING: Chain = Chain {
    name: "postrouting",
    kind: "nat",
    hook: 4,
    priority: 100,
};

/// An address that stands for the API server in pods' networks, and where the server is in truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiService {
    /// What pods connect to.
    pub service: SocketAddrV4,
    /// Where that leads. An unspecified address is the node itself.
    pub server: SocketAddrV4,
}

/// Puts the table in place, replacing the one from before in the same transaction.
pub(super) fn install(name: &str, cidr: &Cidr, api: Option<&ApiService>) -> Result<(), Error> {
    let mut table = Transaction::replacing(name);
    table.chain(&POSTROUTING);
    table.rule(&POSTROUTING, |rule| {
        rule.inside(Address::Source, cidr)
            .outside(Address::Destination, cidr)
            .masquerade();
    });
    let mut loopback = false;
    if let Some(ApiService { service, server }) = api {
        let server_address = match *server.ip() {
            Ipv4Addr::UNSPECIFIED => cidr.gateway(),
            address => address,
        };
        loopback = server_address.is_loopback();
        table.chain(&PREROUTING);
        table.rule(&PREROUTING, |rule| {
            rule.entering_by(name)
                .to(*service.ip(), service.port())
                .send_to(server_address, server.port());
        });
    }
    if loopback {
        table.chain(&INPUT);
        table.rule(&INPUT, |rule| {
            rule.entering_by(name).loopback(Address::Source).drop();
        });
        table.rule(&INPUT, |rule| {
            rule.entering_by(name)
                .loopback(Address::Destination)
                .of_unchanged_destination()
                .drop();
        });
    }
    // The way to loopback is closed before its guard goes, and opened after the guard is there.
    if !loopback {
        allow_loopback(name, false)?;
    }
    table
        .commit()
        .map_err(Error::netlink(format!("install table {name}")))?;
    if loopback {
        allow_loopback(name, true)?;
    }
    Ok(())
}

/// Whether what comes in by an interface may be led to a loopback address.
fn allow_loopback(interface: &str, allowed: bool) -> Result<(), Error> {
    let path = format!("/proc/sys/net/ipv4/conf/{interface}/route_localnet");
    std::fs::write(&path, if allowed { "1" } else { "0" })
        .map_err(Error::netlink(format!("write {path}")))
}

/// Removes the table; it need not be there.
pub(super) fn remove(name: &str) -> Result<(), Error> {
    Transaction::removing(name)
        .commit()
        .map_err(Error::netlink(format!("remove table {name}")))
}
