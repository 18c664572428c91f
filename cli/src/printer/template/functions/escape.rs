//! `html`, `js`, `urlquery`, and kubectl's `base64decode`.

use std::io::Write as _;

use super::{Called, text};
use crate::printer::go::quote::{self, Piece};
use crate::printer::go::{Data, Value, print};

/// The text of all arguments.
fn joined(values: &[Value]) -> Vec<u8> {
    let values: Vec<Value> = values
        .iter()
        .map(|value| match value.data {
            Data::Nil => (&b"<no value>"[..]).into(),
            _ => value.clone(),
        })
        .collect();
    print::sprint(&values)
}

pub(super) fn html<'a>(values: &[Value<'a>]) -> Called<'a> {
    let mut out = Vec::new();
    for byte in joined(values) {
        match byte {
            0 => out.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            other => out.push(other),
        }
    }
    text(out)
}

pub(super) fn js<'a>(values: &[Value<'a>]) -> Called<'a> {
    let mut out = Vec::new();
    for (piece, _) in quote::pieces(&joined(values)) {
        let c = match piece {
            Piece::Char(c) => c,
            Piece::Byte(_) => char::REPLACEMENT_CHARACTER,
        };
        // Writing to memory can't fail.
        let _ = match c {
            '\\' | '\'' | '"' => write!(out, "\\{c}"),
            '<' | '>' | '&' | '=' | '\0'..' ' => write!(out, "\\u{:04X}", c as u32),
            c if c.is_ascii() || quote::is_print(c) => write!(out, "{c}"),
            c => write!(out, "\\u{:04X}", c as u32),
        };
    }
    text(out)
}

pub(super) fn urlquery<'a>(values: &[Value<'a>]) -> Called<'a> {
    let mut out = Vec::new();
    for byte in joined(values) {
        match byte {
            b' ' => out.push(b'+'),
            b'-' | b'_' | b'.' | b'~' => out.push(byte),
            byte if byte.is_ascii_alphanumeric() => out.push(byte),
            // Writing to memory can't fail.
            byte => drop(write!(out, "%{byte:02X}")),
        }
    }
    text(out)
}

pub(super) fn base64decode<'a>(values: &[Value<'a>]) -> Called<'a> {
    let Some(Data::Text(encoded)) = values.first().map(|value| &value.data) else {
        return Err("nothing to decode".to_owned());
    };
    decode(encoded)
        .map(Value::from)
        .map_err(|at| format!("base64 decode failed: illegal base64 data at input byte {at}"))
}

/// Go's decoder: ends of lines don't count, and the place of a mistake is told.
fn decode(encoded: &[u8]) -> Result<Vec<u8>, usize> {
    let mut out = Vec::new();
    let mut at = 0;
    let skip = |mut at: usize| {
        while matches!(encoded.get(at), Some(b'\r' | b'\n')) {
            at += 1;
        }
        at
    };
    loop {
        let (mut bits, mut count) = (0u32, 0);
        while count < 4 {
            let Some(byte) = encoded.get(at).copied() else {
                return if count == 0 { Ok(out) } else { Err(at - count) };
            };
            at += 1;
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b'\r' | b'\n' => continue,
                b'=' if count >= 2 => break,
                _ => return Err(at - 1),
            };
            bits = bits << 6 | u32::from(value);
            count += 1;
        }
        let bytes = (bits << (6 * (4 - count))).to_be_bytes();
        // Two characters are one byte, three are two.
        out.extend_from_slice(&bytes[1..count]);
        if count == 4 {
            continue;
        }
        if count == 2 {
            at = skip(at);
            match encoded.get(at) {
                None => return Err(encoded.len()),
                Some(b'=') => at += 1,
                Some(_) => return Err(at - 1),
            }
        }
        at = skip(at);
        return if at < encoded.len() { Err(at) } else { Ok(out) };
    }
}
