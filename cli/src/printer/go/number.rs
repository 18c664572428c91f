//! Number literals, as Go's templates read them.

use super::float;
use super::quote::{self, Piece};

/// A number literal: it can be of every kind that it fits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Number {
    pub(crate) text: String,
    pub(crate) int: Option<i64>,
    pub(crate) uint: Option<u64>,
    pub(crate) float: Option<f64>,
    pub(crate) complex: Option<(f64, f64)>,
}

impl Number {
    fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            int: None,
            uint: None,
            float: None,
            complex: None,
        }
    }

    /// A character constant, in its quotes.
    pub(crate) fn character(text: &str) -> Result<Self, String> {
        let (piece, rest) =
            quote::unescape_one(&text[1..], '\'').ok_or_else(|| "invalid syntax".to_owned())?;
        if rest != "'" {
            return Err(format!("malformed character constant: {text}"));
        }
        let code = match piece {
            Piece::Char(c) => u32::from(c),
            Piece::Byte(byte) => byte.into(),
        };
        Ok(Self {
            int: Some(code.into()),
            uint: Some(code.into()),
            float: Some(code.into()),
            ..Self::new(text)
        })
    }

    /// `1+2i`
    pub(crate) fn complex(text: &str) -> Result<Self, String> {
        // The sign between the two is the last that is not an exponent's.
        let split = text
            .char_indices()
            .rev()
            .filter(|(at, c)| *at > 0 && matches!(c, '+' | '-'))
            .find(|(at, _)| !text[..*at].ends_with(['e', 'E', 'p', 'P']) || is_hex(text, *at))
            .map(|(at, _)| at);
        let parts = split.and_then(|at| {
            let imaginary = text[at..].strip_suffix('i')?;
            Some((float::parse(&text[..at])?, float::parse(imaginary)?))
        });
        let (real, imaginary) =
            parts.ok_or_else(|| "syntax error scanning complex number".to_owned())?;
        Ok(Self::simplified(text, real, imaginary))
    }

    fn simplified(text: &str, real: f64, imaginary: f64) -> Self {
        let is_real = imaginary == 0.0;
        Self {
            int: as_int(real).filter(|_| is_real),
            uint: as_uint(real).filter(|_| is_real),
            float: Some(real).filter(|_| is_real),
            complex: Some((real, imaginary)),
            ..Self::new(text)
        }
    }

    /// Any other number.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(imaginary) = text.strip_suffix('i').and_then(float::parse) {
            return Ok(Self::simplified(text, 0.0, imaginary));
        }
        let mut number = Self::new(text);
        number.uint = unsigned(text);
        number.int = signed(text);
        if number.int == Some(0) {
            number.uint = Some(0);
        }
        if let Some(int) = number.int {
            number.float = Some(int as f64);
        } else if let Some(uint) = number.uint {
            number.float = Some(uint as f64);
        } else if let Some(float) = float::parse(text) {
            if !text.contains(['.', 'e', 'E', 'p', 'P']) {
                return Err(format!("integer overflow: {}", quoted(text)));
            }
            number.float = Some(float);
            number.int = as_int(float);
            number.uint = as_uint(float);
        } else {
            return Err(format!("illegal number syntax: {}", quoted(text)));
        }
        Ok(number)
    }
}

fn quoted(text: &str) -> String {
    quote::quote(text.as_bytes(), false)
}

fn is_hex(text: &str, at: usize) -> bool {
    text[..at].ends_with(['e', 'E'])
        && text
            .trim_start_matches(['+', '-'])
            .to_lowercase()
            .starts_with("0x")
}

fn as_int(float: f64) -> Option<i64> {
    let fits = float.fract() == 0.0 && (-(2f64.powi(63))..2f64.powi(63)).contains(&float);
    fits.then_some(float as i64)
}

fn as_uint(float: f64) -> Option<u64> {
    let fits = float.fract() == 0.0 && (0.0..2f64.powi(64)).contains(&float);
    fits.then_some(float as u64)
}

fn signed(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(rest) => 0i64.checked_sub_unsigned(unsigned(rest)?),
        None => unsigned(text.strip_prefix('+').unwrap_or(text)).and_then(|u| u.try_into().ok()),
    }
}

/// A whole number in the base that its prefix names.
fn unsigned(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match lower.get(..2) {
        Some("0x") => (&lower[2..], 16),
        Some("0b") => (&lower[2..], 2),
        Some("0o") => (&lower[2..], 8),
        _ if lower.starts_with('0') && lower.len() > 1 => (&lower[1..], 8),
        _ => (lower.as_str(), 10),
    };
    if digits.starts_with(['+', '-']) || !underscores_separate_digits(&lower) {
        return None;
    }
    u64::from_str_radix(&digits.replace('_', ""), radix).ok()
}

/// Whether each underscore stands between two digits, or between a base's prefix and a digit.
pub(crate) fn underscores_separate_digits(text: &str) -> bool {
    if !text.contains('_') {
        return true;
    }
    let lower = text.to_ascii_lowercase();
    let hex = lower.starts_with("0x");
    // What an underscore may follow: a digit, or the prefix, which counts as one.
    let mut before = '^';
    let mut rest = lower.as_str();
    for prefix in ["0x", "0b", "0o"] {
        if let Some(behind) = lower.strip_prefix(prefix) {
            (before, rest) = ('0', behind);
        }
    }
    for c in rest.chars() {
        let is_digit = c.is_ascii_digit() || hex && c.is_ascii_hexdigit();
        match c {
            _ if is_digit => before = '0',
            '_' if before != '0' => return false,
            '_' => before = '_',
            _ if before == '_' => return false,
            _ => before = '!',
        }
    }
    before != '_'
}
