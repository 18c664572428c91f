//! nf_tables as far as it is needed here: tables, base chains, and rules made of a few expressions.

use std::net::Ipv4Addr;

use super::Cidr;
use super::message::{Message, Netlink};

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
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT: u32 = 0;
const REGISTER: u32 = 1;
const SECOND_REGISTER: u32 = 2;
const ACCEPT: u32 = 1;
const DROP: u32 = 0;
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const META_INTERFACE: u32 = 6;
const META_PROTOCOL: u32 = 16;
const CT_STATUS: u32 = 2;
/// The status bit of connections whose destination was changed.
const DESTINATION_CHANGED: u32 = 1 << 5;
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;
const DESTINATION_NAT: u32 = 1;

/// A base chain: what it is called, what it may do, and where the kernel comes by.
pub(super) struct Chain {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) hook: u32,
    /// Lower ones come first.
    pub(super) priority: i32,
}

/// Where the addresses are in an IPv4 header.
#[derive(Clone, Copy)]
pub(super) enum Address {
    Source = 12,
    Destination = 16,
}

/// Changes that are made together or not at all.
pub(super) struct Transaction {
    table: String,
    messages: Vec<Message>,
}

impl Transaction {
    /// Begins by removing the table of that name, which need not be there: making it first lets the removal succeed
    /// either way.
    pub(super) fn removing(table: &str) -> Self {
        let mut transaction = Self {
            table: table.to_owned(),
            messages: Vec::new(),
        };
        transaction.table(NEW_TABLE);
        transaction.table(DELETE_TABLE);
        transaction
    }

    /// Begins with an empty table of that name.
    pub(super) fn replacing(table: &str) -> Self {
        let mut transaction = Self::removing(table);
        transaction.table(NEW_TABLE);
        transaction
    }

    fn table(&mut self, kind: u16) {
        let mut message = message(kind);
        message.text(TABLE_NAME, &self.table);
        self.messages.push(message);
    }

    pub(super) fn chain(&mut self, chain: &Chain) {
        let mut message = message(NEW_CHAIN);
        message
            .text(CHAIN_TABLE, &self.table)
            .text(CHAIN_NAME, chain.name)
            .nested(CHAIN_HOOK, &[], |hook| {
                hook.big(HOOK_NUMBER, chain.hook)
                    .big(HOOK_PRIORITY, chain.priority.cast_unsigned());
            })
            .big(CHAIN_POLICY, ACCEPT)
            .text(CHAIN_TYPE, chain.kind);
        self.messages.push(message);
    }

    /// Adds a rule to the end of a chain.
    pub(super) fn rule(&mut self, chain: &Chain, fill: impl FnOnce(&mut Rule<'_>)) {
        let mut message = message(NEW_RULE);
        message
            .text(RULE_TABLE, &self.table)
            .text(RULE_CHAIN, chain.name)
            .nested(RULE_EXPRESSIONS, &[], |list| fill(&mut Rule(list)));
        self.messages.push(message);
    }

    pub(super) fn commit(self) -> std::io::Result<()> {
        let edge = |kind| {
            let mut fixed = [0; 4];
            fixed[2..4].copy_from_slice(&SUBSYSTEM.to_be_bytes());
            Message::new(kind, 0, &fixed)
        };
        let count = self.messages.len();
        let mut messages = vec![edge(BATCH_BEGIN)];
        messages.extend(self.messages);
        messages.push(edge(BATCH_END));
        Netlink::open(libc::NETLINK_NETFILTER)?
            .batch(messages, |place| (1..=count).contains(&place))
    }
}

fn message(kind: u16) -> Message {
    // struct nfgenmsg: family, version, resource.
    let fixed = [libc::NFPROTO_IPV4 as u8, 0, 0, 0];
    Message::new(SUBSYSTEM << 8 | kind, libc::NLM_F_CREATE as u16, &fixed)
}

/// The expressions of a rule: conditions first, each of which has to hold, then what is done.
pub(super) struct Rule<'a>(&'a mut Message);

impl Rule<'_> {
    fn expression(&mut self, name: &str, fill: impl FnOnce(&mut Message)) -> &mut Self {
        self.0.nested(LIST_ELEMENT, &[], |element| {
            element
                .text(EXPRESSION_NAME, name)
                .nested(EXPRESSION_DATA, &[], fill);
        });
        self
    }

    fn compare(&mut self, operator: u32, value: &[u8]) -> &mut Self {
        self.expression("cmp", |compare| {
            compare.big(1, REGISTER).big(2, operator);
            data(compare, 3, value);
        })
    }

    fn mask(&mut self, mask: [u8; 4]) -> &mut Self {
        self.expression("bitwise", |bitwise| {
            bitwise.big(1, REGISTER).big(2, REGISTER).big(3, 4);
            data(bitwise, 4, &mask);
            data(bitwise, 5, &[0; 4]);
        })
    }

    fn payload(&mut self, header: u32, offset: u32, length: u32) -> &mut Self {
        self.expression("payload", |payload| {
            payload
                .big(1, REGISTER)
                .big(2, header)
                .big(3, offset)
                .big(4, length);
        })
    }

    /// The address is one of a range.
    pub(super) fn inside(&mut self, address: Address, cidr: &Cidr) -> &mut Self {
        self.payload(NETWORK_HEADER, address as u32, 4)
            .mask(cidr.mask().octets())
            .compare(EQUAL, &cidr.network().octets())
    }

    /// The address is none of a range.
    pub(super) fn outside(&mut self, address: Address, cidr: &Cidr) -> &mut Self {
        self.payload(NETWORK_HEADER, address as u32, 4)
            .mask(cidr.mask().octets())
            .compare(NOT_EQUAL, &cidr.network().octets())
    }

    /// The address is one of this machine's 127.0.0.0/8.
    pub(super) fn loopback(&mut self, address: Address) -> &mut Self {
        self.payload(NETWORK_HEADER, address as u32, 1)
            .compare(EQUAL, &[127])
    }

    /// The packet came in by this interface.
    pub(super) fn entering_by(&mut self, name: &str) -> &mut Self {
        let mut padded = [0; libc::IFNAMSIZ];
        let length = name.len().min(padded.len());
        padded[..length].copy_from_slice(&name.as_bytes()[..length]);
        self.expression("meta", |meta| {
            meta.big(1, REGISTER).big(2, META_INTERFACE);
        })
        .compare(EQUAL, &padded)
    }

    /// The packet is TCP, to this address and port.
    pub(super) fn to(&mut self, address: Ipv4Addr, port: u16) -> &mut Self {
        self.payload(NETWORK_HEADER, Address::Destination as u32, 4)
            .compare(EQUAL, &address.octets())
            .expression("meta", |meta| {
                meta.big(1, REGISTER).big(2, META_PROTOCOL);
            })
            .compare(EQUAL, &[libc::IPPROTO_TCP as u8])
            .payload(TRANSPORT_HEADER, 2, 2)
            .compare(EQUAL, &port.to_be_bytes())
    }

    /// The connection goes where its client meant it to go.
    pub(super) fn of_unchanged_destination(&mut self) -> &mut Self {
        self.expression("ct", |ct| {
            ct.big(1, REGISTER).big(2, CT_STATUS);
        })
        // The kernel holds the status as a number of its own order.
        .mask(DESTINATION_CHANGED.to_ne_bytes())
        .compare(EQUAL, &[0; 4])
    }

    /// The connection goes to another address and port.
    pub(super) fn send_to(&mut self, address: Ipv4Addr, port: u16) {
        self.immediate(REGISTER, &address.octets())
            .immediate(SECOND_REGISTER, &port.to_be_bytes())
            .expression("nat", |nat| {
                nat.big(1, DESTINATION_NAT)
                    .big(2, libc::NFPROTO_IPV4 as u32)
                    .big(3, REGISTER)
                    .big(5, SECOND_REGISTER);
            });
    }

    fn immediate(&mut self, register: u32, value: &[u8]) -> &mut Self {
        self.expression("immediate", |immediate| {
            immediate.big(1, register);
            data(immediate, 2, value);
        })
    }

    /// The connection gets this machine's address as its source.
    pub(super) fn masquerade(&mut self) {
        self.expression("masq", |_| {});
    }

    /// The packet is dropped.
    pub(super) fn drop(&mut self) {
        self.expression("immediate", |immediate| {
            immediate.big(1, VERDICT).nested(2, &[], |data| {
                data.nested(DATA_VERDICT, &[], |verdict| {
                    verdict.big(VERDICT_CODE, DROP);
                });
            });
        });
    }
}

fn data(message: &mut Message, kind: u16, value: &[u8]) {
    message.nested(kind, &[], |data| {
        data.attribute(DATA_VALUE, value);
    });
}
