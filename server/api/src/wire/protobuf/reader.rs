//! The encoding below messages: tags, numbers, lengths.

use super::Error;

/// How a field is encoded.
pub(super) const VARINT: u8 = 0;
const FIXED64: u8 = 1;
/// A length, and as many bytes.
pub(super) const BYTES: u8 = 2;
const FIXED32: u8 = 5;

/// What is left of a message.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number and encoding of the next field, `None` at the end.
    pub(super) fn tag(&mut self) -> Result<Option<(u64, u8)>, Error> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        Ok(Some((tag >> 3, (tag & 7) as u8)))
    }

    /// A number of up to 64 bits.
    pub(super) fn varint(&mut self) -> Result<u64, Error> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Error::Truncated)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Error::Overflow)
    }

    /// The content of a field that has a length.
    pub(super) fn bytes(&mut self, wire: u8, field: &str) -> Result<&'a [u8], Error> {
        expect(wire, BYTES, field)?;
        let length = usize::try_from(self.varint()?).map_err(|_| Error::Truncated)?;
        self.take(length)
    }

    /// The content of a field that is text.
    pub(super) fn text(&mut self, wire: u8, field: &str) -> Result<&'a str, Error> {
        let bytes = self.bytes(wire, field)?;
        str::from_utf8(bytes).map_err(|_| Error::Text {
            field: field.to_owned(),
        })
    }

    /// The bits of a field that is a number.
    pub(super) fn number(&mut self, wire: u8, field: &str) -> Result<u64, Error> {
        expect(wire, VARINT, field)?;
        self.varint()
    }

    /// Passes over a field that nobody wants.
    pub(super) fn skip(&mut self, number: u64, wire: u8) -> Result<(), Error> {
        match wire {
            VARINT => self.varint().map(drop),
            FIXED64 => self.take(8).map(drop),
            BYTES => self.bytes(wire, "").map(drop),
            FIXED32 => self.take(4).map(drop),
            wire => Err(Error::WireType {
                wire,
                field: number.to_string(),
            }),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Error::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }
}

fn expect(wire: u8, wanted: u8, field: &str) -> Result<(), Error> {
    match wire == wanted {
        true => Ok(()),
        false => Err(Error::WireType {
            wire,
            field: field.to_owned(),
        }),
    }
}
