//! Masquerading, in an nf_tables table of the cluster's own:
//!
//! ```text
//! table ip ctl-<hash> {
//!     chain postrouting {
//!         type nat hook postrouting priority srcnat; policy accept;
//!         ip saddr <pods> ip daddr != <pods> masquerade
//!     }
//! }
//! ```

use std::net::Ipv4Addr;

use super::message::{Message, Netlink};
use super::{Cidr, Error};

// linux/netfilter/nfnetlink.h and nf_tables.h.
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const TABLE_NAME: u16 = 1;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const LIST_ELEMENT: u16 = 1;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const REGISTER: u32 = 1;
const POSTROUTING: u32 = 4;
const SOURCE_NAT: u32 = 100;
const ACCEPT: u32 = 1;
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
/// Where the addresses are in an IPv4 header.
const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;
const CHAIN: &str = "postrouting";

/// Puts the table in place, replacing the one from before in the same transaction.
pub(super) fn install(name: &str, cidr: &Cidr) -> Result<(), Error> {
    let transaction = vec![
        table(NEW_TABLE, name),
        table(DELETE_TABLE, name),
        table(NEW_TABLE, name),
        chain(name),
        rule(name, cidr),
    ];
    commit(transaction).map_err(Error::netlink(format!("install table {name}")))
}

/// Removes the table; it need not be there.
pub(super) fn remove(name: &str) -> Result<(), Error> {
    // Making it first lets the deletion succeed either way.
    commit(vec![table(NEW_TABLE, name), table(DELETE_TABLE, name)])
        .map_err(Error::netlink(format!("remove table {name}")))
}

fn commit(transaction: Vec<Message>) -> std::io::Result<()> {
    let edge = |kind| {
        let mut fixed = [0; 4];
        fixed[2..4].copy_from_slice(&SUBSYSTEM.to_be_bytes());
        Message::new(kind, 0, &fixed)
    };
    let count = transaction.len();
    let mut messages = vec![edge(BATCH_BEGIN)];
    messages.extend(transaction);
    messages.push(edge(BATCH_END));
    Netlink::open(libc::NETLINK_NETFILTER)?.batch(messages, |place| (1..=count).contains(&place))
}

fn message(kind: u16) -> Message {
    // struct nfgenmsg: family, version, resource.
    let fixed = [libc::NFPROTO_IPV4 as u8, 0, 0, 0];
    Message::new(SUBSYSTEM << 8 | kind, libc::NLM_F_CREATE as u16, &fixed)
}

fn table(kind: u16, name: &str) -> Message {
    let mut message = message(kind);
    message.text(TABLE_NAME, name);
    message
}

fn chain(table: &str) -> Message {
    let mut message = message(NEW_CHAIN);
    message
        .text(CHAIN_TABLE, table)
        .text(CHAIN_NAME, CHAIN)
        .nested(CHAIN_HOOK, &[], |hook| {
            hook.big(HOOK_NUMBER, POSTROUTING)
                .big(HOOK_PRIORITY, SOURCE_NAT);
        })
        .big(CHAIN_POLICY, ACCEPT)
        .text(CHAIN_TYPE, "nat");
    message
}

fn rule(table: &str, cidr: &Cidr) -> Message {
    let mut message = message(NEW_RULE);
    message
        .text(RULE_TABLE, table)
        .text(RULE_CHAIN, CHAIN)
        .nested(RULE_EXPRESSIONS, &[], |list| {
            matches(list, SOURCE, EQUAL, cidr);
            matches(list, DESTINATION, NOT_EQUAL, cidr);
            expression(list, "masq", |_| {});
        });
    message
}

fn expression(list: &mut Message, name: &str, fill: impl FnOnce(&mut Message)) {
    list.nested(LIST_ELEMENT, &[], |element| {
        element
            .text(EXPRESSION_NAME, name)
            .nested(EXPRESSION_DATA, &[], fill);
    });
}

/// Loads an address, masks it, compares it with the range.
fn matches(list: &mut Message, offset: u32, operator: u32, cidr: &Cidr) {
    const NETWORK_HEADER: u32 = 1;
    let data = |message: &mut Message, kind: u16, address: Ipv4Addr| {
        message.nested(kind, &[], |data| {
            data.attribute(DATA_VALUE, &address.octets());
        });
    };
    expression(list, "payload", |payload| {
        payload
            .big(1, REGISTER)
            .big(2, NETWORK_HEADER)
            .big(3, offset)
            .big(4, 4);
    });
    expression(list, "bitwise", |bitwise| {
        bitwise.big(1, REGISTER).big(2, REGISTER).big(3, 4);
        data(bitwise, 4, cidr.mask());
        data(bitwise, 5, Ipv4Addr::UNSPECIFIED);
    });
    expression(list, "cmp", |compare| {
        compare.big(1, REGISTER).big(2, operator);
        data(compare, 3, cidr.network());
    });
}
