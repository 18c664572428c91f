//! Links, addresses and routes.

use std::ffi::CString;
use std::io::ErrorKind;
use std::net::Ipv4Addr;

use super::Error;
use super::message::{Message, Netlink};

const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
const VETH_INFO_PEER: u16 = 1;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const UP: u32 = libc::IFF_UP as u32;

/// Requests about one network namespace: the one in which it was opened.
pub(crate) struct Route(Netlink);

/// The index of an interface in this thread's namespace.
pub(super) fn index(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: the name ends in NUL and lives through the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

/// The index of an interface that has to be there.
pub(super) fn require(name: &str) -> Result<u32, Error> {
    index(name).ok_or_else(|| Error::netlink(format!("link {name}"))(ErrorKind::NotFound.into()))
}

/// `struct ifinfomsg`.
fn link(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&change.to_ne_bytes());
    bytes
}

impl Route {
    pub(crate) fn open() -> Result<Self, Error> {
        let netlink = Netlink::open(libc::NETLINK_ROUTE);
        Ok(Self(netlink.map_err(Error::netlink("netlink socket"))?))
    }

    pub(super) fn make_bridge(&mut self, name: &str, hardware: [u8; 6]) -> Result<(), Error> {
        let mut message = Message::new(libc::RTM_NEWLINK, CREATE, &link(0, 0, 0));
        message
            .text(libc::IFLA_IFNAME, name)
            .attribute(libc::IFLA_ADDRESS, &hardware)
            .nested(libc::IFLA_LINKINFO, &[], |info| {
                info.text(INFO_KIND, "bridge");
            });
        self.send(message, || format!("make bridge {name}"))
    }

    /// Makes a pair: one end here, on the bridge; the other, under `peer`, in the namespace of a process.
    ///
    /// Only the first is up: the kernel refuses to bring up the other before the two know of each other.
    pub(super) fn make_pair(
        &mut self,
        name: &str,
        bridge: u32,
        peer: &str,
        process: u32,
    ) -> Result<(), Error> {
        let mut message = Message::new(libc::RTM_NEWLINK, CREATE, &link(0, UP, UP));
        message
            .text(libc::IFLA_IFNAME, name)
            .attribute(libc::IFLA_MASTER, &bridge.to_ne_bytes())
            .nested(libc::IFLA_LINKINFO, &[], |info| {
                info.text(INFO_KIND, "veth").nested(INFO_DATA, &[], |data| {
                    data.nested(VETH_INFO_PEER, &link(0, 0, 0), |other| {
                        other
                            .text(libc::IFLA_IFNAME, peer)
                            .attribute(libc::IFLA_NET_NS_PID, &process.to_ne_bytes());
                    });
                });
            });
        self.send(message, || format!("make link {name}"))
    }

    pub(super) fn set_up(&mut self, index: u32) -> Result<(), Error> {
        let message = Message::new(libc::RTM_NEWLINK, 0, &link(index, UP, UP));
        self.send(message, || format!("set link {index} up"))
    }

    /// Deletes a link of the socket's namespace by name. One that is gone is no error: a pair goes with its pod's namespace.
    pub(super) fn delete(&mut self, name: &str) -> Result<(), Error> {
        let mut message = Message::new(libc::RTM_DELLINK, 0, &link(0, 0, 0));
        message.text(libc::IFLA_IFNAME, name);
        match self.0.request(message) {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            other => other.map_err(Error::netlink(format!("delete link {name}"))),
        }
    }

    /// Adds an address; one that is there already is as good.
    pub(super) fn add_address(
        &mut self,
        index: u32,
        address: Ipv4Addr,
        prefix: u8,
    ) -> Result<(), Error> {
        // struct ifaddrmsg: family, prefix length, flags, scope, index.
        let mut fixed = [libc::AF_INET as u8, prefix, 0, 0, 0, 0, 0, 0];
        fixed[4..8].copy_from_slice(&index.to_ne_bytes());
        let host_bits = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
        let broadcast = Ipv4Addr::from(u32::from(address) | host_bits);
        let mut message = Message::new(libc::RTM_NEWADDR, CREATE, &fixed);
        message
            .attribute(libc::IFA_LOCAL, &address.octets())
            .attribute(libc::IFA_ADDRESS, &address.octets())
            .attribute(libc::IFA_BROADCAST, &broadcast.octets());
        match self.0.request(message) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            other => other.map_err(Error::netlink(format!("add address {address}"))),
        }
    }

    pub(super) fn add_default_route(&mut self, index: u32, via: Ipv4Addr) -> Result<(), Error> {
        // struct rtmsg: family, destination and source length, tos, table, protocol, scope, type, flags.
        let fixed = [
            libc::AF_INET as u8,
            0,
            0,
            0,
            libc::RT_TABLE_MAIN,
            libc::RTPROT_BOOT,
            libc::RT_SCOPE_UNIVERSE,
            libc::RTN_UNICAST,
            0,
            0,
            0,
            0,
        ];
        let mut message = Message::new(libc::RTM_NEWROUTE, CREATE, &fixed);
        message
            .attribute(libc::RTA_GATEWAY, &via.octets())
            .attribute(libc::RTA_OIF, &index.to_ne_bytes());
        self.send(message, || format!("add a route via {via}"))
    }

    fn send(&mut self, message: Message, what: impl FnOnce() -> String) -> Result<(), Error> {
        self.0
            .request(message)
            .map_err(|error| Error::netlink(what())(error))
    }
}
