//! Netlink messages: a writer for nested attributes, and a socket that waits for the answer.

use std::io::{Error, Result};

use netlink_sys::{Socket, SocketAddr};

/// `struct nlmsghdr`.
const HEADER: usize = 16;
const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const ACK: u16 = libc::NLM_F_ACK as u16;

/// One message under construction. Attributes are aligned to four bytes, lengths filled in when they are known.
pub(super) struct Message(Vec<u8>);

impl Message {
    /// A request of this type with its fixed part; `flags` besides REQUEST.
    pub(super) fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(REQUEST | flags).to_ne_bytes());
        bytes.extend_from_slice(fixed);
        let mut message = Self(bytes);
        message.align();
        message
    }

    fn align(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        // No value here is longer than a name or an address.
        let length = (4 + value.len()) as u16;
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.align();
        self
    }

    /// A string with its NUL.
    pub(super) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    /// A number in network order, as nf_tables wants them.
    pub(super) fn big(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// An attribute made of attributes, after an optional fixed part.
    pub(super) fn nested(
        &mut self,
        kind: u16,
        fixed: &[u8],
        fill: impl FnOnce(&mut Self),
    ) -> &mut Self {
        let start = self.0.len();
        self.attribute(kind | libc::NLA_F_NESTED as u16, fixed);
        fill(self);
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    fn finish(&mut self, sequence: u32) -> &[u8] {
        let length = self.0.len() as u32;
        self.0[0..4].copy_from_slice(&length.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        &self.0
    }
}

/// A netlink socket; it stays in the network namespace in which it was opened.
pub(crate) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// Opens a socket of a family: `libc::NETLINK_ROUTE` or `NETLINK_NETFILTER`.
    pub(super) fn open(family: libc::c_int) -> Result<Self> {
        let mut socket = Socket::new(family as isize)?;
        socket.bind_auto()?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// Sends a request and waits for the kernel's answer.
    pub(super) fn request(&mut self, message: Message) -> Result<()> {
        self.batch(vec![message], |_| true)
    }

    /// Sends messages as one datagram, asking for an answer to those that `wants` names by their place.
    ///
    /// The first error is the result, but all answers are taken from the socket.
    pub(super) fn batch(
        &mut self,
        messages: Vec<Message>,
        wants: impl Fn(usize) -> bool,
    ) -> Result<()> {
        let mut bytes = Vec::new();
        let first = self.sequence + 1;
        let mut awaited = Vec::new();
        for (place, mut message) in messages.into_iter().enumerate() {
            self.sequence += 1;
            if wants(place) {
                message.0[6] |= ACK as u8;
                awaited.push(self.sequence);
            }
            bytes.extend_from_slice(message.finish(self.sequence));
        }
        self.socket.send_to(&bytes, &SocketAddr::new(0, 0), 0)?;
        let mut outcome = Ok(());
        while !awaited.is_empty() {
            let (answer, _) = self.socket.recv_from_full()?;
            for (sequence, error) in Answers(&answer) {
                if sequence < first {
                    continue;
                }
                awaited.retain(|&other| other != sequence);
                if error != 0 && outcome.is_ok() {
                    outcome = Err(Error::from_raw_os_error(-error));
                    // A batch that fails as a whole is answered once, under the number of its beginning or of the culprit.
                    if !wants(0) {
                        return outcome;
                    }
                }
            }
        }
        outcome
    }
}

/// The acknowledgements in a datagram: sequence number and negative error number, or 0.
struct Answers<'a>(&'a [u8]);

impl Iterator for Answers<'_> {
    type Item = (u32, i32);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let word = |at: usize| {
                let bytes = self.0.get(at..at + 4)?;
                Some(u32::from_ne_bytes(bytes.try_into().ok()?))
            };
            let length = (word(0)? as usize).max(HEADER);
            let kind = word(4)? as u16;
            let sequence = word(8)?;
            let error = word(HEADER).unwrap_or(0) as i32;
            self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or(&[]);
            if kind == libc::NLMSG_ERROR as u16 {
                return Some((sequence, error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_the_header_but_not_the_padding() {
        let mut message = Message::new(16, 0, &[]);
        message.nested(18, &[], |inner| {
            inner.text(1, "veth");
        });
        let bytes = message.finish(7).to_vec();
        assert_eq!(bytes.len(), 16 + 4 + 12);
        assert_eq!(bytes[0..4], 32u32.to_ne_bytes());
        // The nested attribute holds the inner one with its padding, which counts 9 bytes for itself.
        assert_eq!(bytes[16..18], 16u16.to_ne_bytes());
        assert_eq!(bytes[20..22], 9u16.to_ne_bytes());
    }

    #[test]
    fn answers_are_read_one_after_the_other() {
        let mut bytes = Vec::new();
        for (sequence, error) in [(1u32, 0i32), (2, -17)] {
            bytes.extend_from_slice(&20u32.to_ne_bytes());
            bytes.extend_from_slice(&(libc::NLMSG_ERROR as u16).to_ne_bytes());
            bytes.extend_from_slice(&[0; 2]);
            bytes.extend_from_slice(&sequence.to_ne_bytes());
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(&error.to_ne_bytes());
        }
        assert_eq!(Answers(&bytes).collect::<Vec<_>>(), [(1, 0), (2, -17)]);
    }
}
