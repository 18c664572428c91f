//! `fmt.Sprintf`: flags, widths, precisions, places of arguments, verbs and what it says of mistakes.

use super::quote::Piece;
use super::{Value, quote};

/// Go takes no width or precision above this.
const MOST: i64 = 1_000_000;

/// The flags of one verb.
#[derive(Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) sharp: bool,
    pub(super) zero: bool,
    pub(super) plus: bool,
    pub(super) minus: bool,
    pub(super) space: bool,
    /// `%#v`
    pub(super) syntax: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}

/// Prints values.
#[derive(Default)]
pub(super) struct Printer {
    pub(super) out: Vec<u8>,
    pub(super) flags: Flags,
}

/// Where a format is read, and which argument is next.
struct Cursor<'f> {
    format: &'f [u8],
    at: usize,
    next: usize,
    count: usize,
    reordered: bool,
    good: bool,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    /// Digits; a number that is too large takes the rest of the format along.
    fn number(&mut self) -> Option<usize> {
        let mut number = None;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            if number.unwrap_or(0) > MOST {
                self.at = self.format.len();
                return None;
            }
            number = Some(number.unwrap_or(0) * 10 + i64::from(digit - b'0'));
            self.at += 1;
        }
        number.and_then(|n| usize::try_from(n).ok())
    }

    /// `[3]`: the place of the next argument.
    fn place(&mut self) -> bool {
        if self.peek() != Some(b'[') {
            return false;
        }
        self.reordered = true;
        let rest = &self.format[self.at..];
        let Some(end) = rest
            .iter()
            .position(|b| *b == b']')
            .filter(|_| rest.len() >= 3)
        else {
            self.good = false;
            self.at += 1;
            return false;
        };
        let digits = std::str::from_utf8(&rest[1..end]).unwrap_or_default();
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let number = digits.parse::<usize>().ok().filter(|_| plain);
        self.at += end + 1;
        match number {
            Some(place) if (1..=self.count).contains(&place) => {
                self.next = place - 1;
                true
            }
            found => {
                self.good = false;
                found.is_some()
            }
        }
    }

    /// `*`: a number that is an argument.
    fn star(&mut self, values: &[Value]) -> Option<i64> {
        let value = values.get(self.next)?;
        self.next += 1;
        value.data.whole().filter(|n| (-MOST..=MOST).contains(n))
    }
}

impl Printer {
    pub(super) fn format(&mut self, format: &[u8], values: &[Value]) {
        let mut cursor = Cursor {
            format,
            at: 0,
            next: 0,
            count: values.len(),
            reordered: false,
            good: true,
        };
        while cursor.at < format.len() {
            cursor.good = true;
            let rest = &format[cursor.at..];
            let plain = rest.iter().position(|b| *b == b'%').unwrap_or(rest.len());
            self.out.extend_from_slice(&rest[..plain]);
            cursor.at += plain + 1;
            if plain < rest.len() && !self.verb(&mut cursor, values) {
                break;
            }
        }
        if !cursor.reordered && cursor.next < values.len() {
            self.flags = Flags::default();
            self.out.extend_from_slice(b"%!(EXTRA ");
            for (at, value) in values[cursor.next..].iter().enumerate() {
                if at > 0 {
                    self.out.extend_from_slice(b", ");
                }
                self.with_type(value);
            }
            self.out.push(b')');
        }
    }

    /// What follows a `%`; false at the end of the format.
    fn verb(&mut self, cursor: &mut Cursor, values: &[Value]) -> bool {
        self.flags = Flags::default();
        while let Some(c) = cursor.peek() {
            match c {
                b'#' => self.flags.sharp = true,
                b'0' => self.flags.zero = true,
                b'+' => self.flags.plus = true,
                b'-' => self.flags.minus = true,
                b' ' => self.flags.space = true,
                _ => break,
            }
            cursor.at += 1;
        }
        let mut after_place = cursor.place();
        if cursor.peek() == Some(b'*') {
            cursor.at += 1;
            match cursor.star(values) {
                Some(width) => {
                    if width < 0 {
                        self.flags.minus = true;
                        self.flags.zero = false;
                    }
                    self.flags.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => self.out.extend_from_slice(b"%!(BADWIDTH)"),
            }
            after_place = false;
        } else {
            self.flags.width = cursor.number();
            if after_place && self.flags.width.is_some() {
                cursor.good = false;
            }
        }
        if cursor.peek() == Some(b'.') && cursor.at + 1 < cursor.format.len() {
            cursor.at += 1;
            if after_place {
                cursor.good = false;
            }
            after_place = cursor.place();
            if cursor.peek() == Some(b'*') {
                cursor.at += 1;
                let found = cursor.star(values);
                self.flags.precision = found.and_then(|n| usize::try_from(n).ok());
                if self.flags.precision.is_none() {
                    self.out.extend_from_slice(b"%!(BADPREC)");
                }
                after_place = false;
            } else {
                self.flags.precision = Some(cursor.number().unwrap_or(0));
            }
        }
        if !after_place {
            cursor.place();
        }
        let Some((piece, length)) = cursor
            .format
            .get(cursor.at..)
            .and_then(|f| quote::pieces(f).next())
        else {
            self.out.extend_from_slice(b"%!(NOVERB)");
            return false;
        };
        cursor.at += length;
        let verb = match piece {
            Piece::Char(c) => c,
            Piece::Byte(_) => char::REPLACEMENT_CHARACTER,
        };
        match values.get(cursor.next) {
            _ if verb == '%' => self.out.push(b'%'),
            _ if !cursor.good => self.mistake(verb, "(BADINDEX)"),
            None => self.mistake(verb, "(MISSING)"),
            Some(value) => {
                if matches!(verb, 'v' | 'w') {
                    self.flags.syntax = std::mem::take(&mut self.flags.sharp);
                    // `%+v` adds names to fields of structs, and no signs to numbers.
                    self.flags.plus = false;
                }
                self.argument(value, verb);
                cursor.next += 1;
            }
        }
        true
    }
}
