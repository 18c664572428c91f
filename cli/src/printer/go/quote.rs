//! Go's quoted strings: written by `strconv.Quote`, read by `strconv.Unquote`.

use std::fmt::Write as _;

/// A piece of a Go string: a character, or a byte that is part of none.
pub(crate) enum Piece {
    Char(char),
    Byte(u8),
}

/// The characters of bytes, as Go's `range` over a string has them, with the length of each.
pub(crate) fn pieces(mut text: &[u8]) -> impl Iterator<Item = (Piece, usize)> + '_ {
    std::iter::from_fn(move || {
        let first = *text.first()?;
        let length = match first {
            0..0x80 => 1,
            0xC0..0xE0 => 2,
            0xE0..0xF0 => 3,
            _ => 4,
        };
        let found = text
            .get(..length)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .and_then(|text| text.chars().next());
        let (piece, length) = match found {
            Some(c) => (Piece::Char(c), length),
            None => (Piece::Byte(first), 1),
        };
        text = &text[length..];
        Some((piece, length))
    })
}

/// Whether Go prints a character as it is.
pub(crate) fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    // Behind another one, a character that only changes the one before it is not escaped either.
    let text: String = ['a', c].iter().collect();
    text.escape_debug().nth(1) == Some(c)
}

/// `%q` of a string: with double quotes, in ASCII only if asked for.
pub(crate) fn quote(text: &[u8], ascii: bool) -> String {
    let mut out = "\"".to_owned();
    for (piece, _) in pieces(text) {
        escape(&piece, '"', ascii, &mut out);
    }
    out.push('"');
    out
}

/// `%q` of a number: the character in single quotes.
pub(crate) fn quote_char(c: char, ascii: bool) -> String {
    let mut out = "'".to_owned();
    escape(&Piece::Char(c), '\'', ascii, &mut out);
    out.push('\'');
    out
}

fn escape(piece: &Piece, quote: char, ascii: bool, out: &mut String) {
    let c = match piece {
        // Writing to a string can't fail, here and below.
        Piece::Byte(byte) => return out.push_str(&format!("\\x{byte:02x}")),
        Piece::Char(c) => *c,
    };
    match c {
        c if c == quote || c == '\\' => out.extend(['\\', c]),
        c if (c.is_ascii() || !ascii) && is_print(c) => out.push(c),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        c if c < ' ' || c == '\u{7f}' => drop(write!(out, "\\x{:02x}", c as u32)),
        c if (c as u32) < 0x10000 => drop(write!(out, "\\u{:04x}", c as u32)),
        c => drop(write!(out, "\\U{:08x}", c as u32)),
    }
}

/// `%#U`: the number of a character, and the character if it can be printed.
pub(crate) fn unicode(c: char) -> String {
    if is_print(c) {
        format!("U+{:04X} '{c}'", c as u32)
    } else {
        format!("U+{:04X}", c as u32)
    }
}

/// Whether a string can stand between back quotes.
pub(crate) fn can_back_quote(text: &[u8]) -> bool {
    pieces(text).all(|(piece, _)| match piece {
        Piece::Byte(_) | Piece::Char('`' | '\u{7f}' | '\u{feff}') => false,
        Piece::Char(c) => c >= ' ' || c == '\t',
    })
}

/// What a string literal, quotes included, stands for.
pub(crate) fn unquote(literal: &str) -> Option<Vec<u8>> {
    let quote = literal.chars().next()?;
    let inner = literal.get(1..)?.strip_suffix(quote)?;
    match quote {
        '`' if !inner.contains('`') => Some(inner.bytes().filter(|b| *b != b'\r').collect()),
        '"' if !inner.contains('\n') => unescape(inner, '"'),
        _ => None,
    }
}

/// A text without its escapes; the quote that it stood in needs one.
pub(crate) fn unescape(mut inner: &str, quote: char) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(inner.len());
    while !inner.is_empty() {
        let (piece, rest) = unescape_one(inner, quote)?;
        match piece {
            Piece::Byte(byte) => out.push(byte),
            Piece::Char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        inner = rest;
    }
    Some(out)
}

/// The first character of an escaped text, and what follows it.
pub(crate) fn unescape_one(text: &str, quote: char) -> Option<(Piece, &str)> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if first == quote {
        return None;
    }
    if first != '\\' {
        return Some((Piece::Char(first), chars.as_str()));
    }
    let kind = chars.next()?;
    let mut rest = chars.as_str();
    let mut digits = |count: usize, radix: u32| {
        let (number, left) = rest.split_at_checked(count)?;
        rest = left;
        let all = number.chars().all(|c| c.is_digit(radix));
        u32::from_str_radix(number, radix).ok().filter(|_| all)
    };
    let piece = match kind {
        'a' => Piece::Char('\u{7}'),
        'b' => Piece::Char('\u{8}'),
        'f' => Piece::Char('\u{c}'),
        'n' => Piece::Char('\n'),
        'r' => Piece::Char('\r'),
        't' => Piece::Char('\t'),
        'v' => Piece::Char('\u{b}'),
        '\\' => Piece::Char('\\'),
        'x' => Piece::Byte(u8::try_from(digits(2, 16)?).ok()?),
        'u' => Piece::Char(char::from_u32(digits(4, 16)?)?),
        'U' => Piece::Char(char::from_u32(digits(8, 16)?)?),
        '0'..='7' => {
            rest = &text[1..];
            let mut digits = |count: usize| {
                let (number, left) = rest.split_at_checked(count)?;
                rest = left;
                let all = number.bytes().all(|b| b.is_ascii_digit());
                u32::from_str_radix(number, 8).ok().filter(|_| all)
            };
            Piece::Byte(u8::try_from(digits(3)?).ok()?)
        }
        '\'' | '"' if kind == quote => Piece::Char(kind),
        _ => return None,
    };
    Some((piece, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_the_same_after_unquoting() {
        for text in [
            "",
            "a\"b\\c",
            "\u{7}\t\n\u{0}\u{7f}",
            "ü\u{301}\u{200b}\u{1f600}",
        ] {
            for ascii in [false, true] {
                let quoted = quote(text.as_bytes(), ascii);
                assert_eq!(
                    unquote(&quoted).as_deref(),
                    Some(text.as_bytes()),
                    "{quoted}"
                );
            }
        }
        assert_eq!(quote(b"\xff\xc3", false), r#""\xff\xc3""#);
    }

    #[test]
    fn escapes_that_mean_nothing_are_refused() {
        for literal in [
            r#""\'""#,
            r#""\q""#,
            r#""\x1""#,
            r#""\ud800""#,
            r#""\400""#,
            "\"",
            "`",
            "``a`",
            "\"a\"b\"",
        ] {
            assert_eq!(unquote(literal), None, "{literal}");
        }
        assert_eq!(unquote("`a\\n\r`").as_deref(), Some(&b"a\\n"[..]));
        assert_eq!(unquote(r#""\101\x42\u0043""#).as_deref(), Some(&b"ABC"[..]));
    }
}
