//! How Go's decoders word what they refuse: clients and their tests match on these texts.

use serde_json::Value;

/// The name of a JSON type in `json: cannot unmarshal TYPE into ...`.
pub(super) fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The byte at which Go's base64 reader gives up, if it does. It skips line breaks.
pub(super) fn base64_error(text: &str) -> Option<usize> {
    let bytes: Vec<(usize, u8)> = text
        .bytes()
        .enumerate()
        .filter(|(_, b)| !matches!(b, b'\r' | b'\n'))
        .collect();
    for (group, quantum) in bytes.chunks(4).enumerate() {
        for (i, (at, byte)) in quantum.iter().enumerate() {
            if *byte == b'=' {
                return padding_error(&bytes, group * 4 + i, text.len());
            }
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')) {
                return Some(*at);
            }
        }
        if quantum.len() < 4 {
            return quantum.first().map(|(at, _)| *at);
        }
    }
    None
}

/// What follows the first `=`, which is at `bytes[at]`, must be the end.
fn padding_error(bytes: &[(usize, u8)], at: usize, length: usize) -> Option<usize> {
    let missing = 4 - at % 4;
    if missing > 2 {
        return Some(bytes[at].0);
    }
    let mut last = at;
    if missing == 2 {
        match bytes.get(at + 1) {
            None => return Some(length),
            Some((place, byte)) if *byte != b'=' => return Some(place - 1),
            Some(_) => last = at + 1,
        }
    }
    bytes.get(last + 1).map(|(place, _)| *place)
}

/// Go's complaint about a time, `None` for a good one. `micros` asks for exactly six decimals.
pub(super) fn time_error(text: &str, micros: bool) -> Option<String> {
    let layout = match micros {
        true => "2006-01-02T15:04:05.000000Z07:00",
        false => "2006-01-02T15:04:05Z07:00",
    };
    let parser = TimeParser { rest: text, micros };
    let problem = parser.run().err()?;
    let quoted = crate::field::go_quoted(text);
    Some(match problem {
        TimeProblem::Range(part) => format!("parsing time {quoted}: {part} out of range"),
        TimeProblem::Extra(rest) => {
            let rest = crate::field::go_quoted(&rest);
            format!("parsing time {quoted}: extra text: {rest}")
        }
        TimeProblem::Mismatch(rest, element) => {
            let rest = crate::field::go_quoted(&rest);
            format!("parsing time {quoted} as \"{layout}\": cannot parse {rest} as \"{element}\"")
        }
    })
}

enum TimeProblem {
    Range(&'static str),
    Extra(String),
    Mismatch(String, &'static str),
}

struct TimeParser<'a> {
    rest: &'a str,
    micros: bool,
}

impl TimeParser<'_> {
    fn run(mut self) -> Result<(), TimeProblem> {
        let year = self.number(4, "2006")?;
        self.literal("-")?;
        let month = self.number(2, "01")?;
        if !(1..=12).contains(&month) {
            return Err(TimeProblem::Range("month"));
        }
        self.literal("-")?;
        let day = self.number(2, "02")?;
        self.literal("T")?;
        self.part("15", 24, "hour")?;
        self.literal(":")?;
        self.part("04", 60, "minute")?;
        self.literal(":")?;
        self.part("05", 60, "second")?;
        self.fraction()?;
        self.zone()?;
        if !self.rest.is_empty() {
            return Err(TimeProblem::Extra(self.rest.to_owned()));
        }
        if day < 1 || day > days_in(year, month) {
            return Err(TimeProblem::Range("day"));
        }
        Ok(())
    }

    fn mismatch(&self, element: &'static str) -> TimeProblem {
        TimeProblem::Mismatch(self.rest.to_owned(), element)
    }

    fn digits(&self) -> usize {
        let bytes = self.rest.bytes();
        bytes.take_while(u8::is_ascii_digit).count()
    }

    fn number(&mut self, length: usize, element: &'static str) -> Result<u32, TimeProblem> {
        if self.digits() < length {
            return Err(self.mismatch(element));
        }
        let (number, rest) = self.rest.split_at(length);
        self.rest = rest;
        number.parse().map_err(|_| self.mismatch(element))
    }

    fn part(
        &mut self,
        element: &'static str,
        end: u32,
        name: &'static str,
    ) -> Result<(), TimeProblem> {
        if self.number(2, element)? >= end {
            return Err(TimeProblem::Range(name));
        }
        Ok(())
    }

    fn literal(&mut self, text: &'static str) -> Result<(), TimeProblem> {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => Err(self.mismatch(text)),
        }
    }

    fn fraction(&mut self) -> Result<(), TimeProblem> {
        let after = self.rest.strip_prefix(['.', ',']);
        let digits = after.map_or(0, |a| a.bytes().take_while(u8::is_ascii_digit).count());
        if self.micros && digits != 6 {
            return Err(self.mismatch(".000000"));
        }
        if digits > 0 {
            self.rest = &self.rest[digits + 1..];
        }
        Ok(())
    }

    fn zone(&mut self) -> Result<(), TimeProblem> {
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(());
        }
        let number = |b: &[u8]| {
            let digits = b.iter().all(u8::is_ascii_digit);
            digits.then(|| b.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0')))
        };
        let parts = match self.rest.as_bytes() {
            [b'+' | b'-', h1, h2, b':', m1, m2, ..] => number(&[*h1, *h2]).zip(number(&[*m1, *m2])),
            _ => None,
        };
        match parts {
            None => Err(self.mismatch("Z07:00")),
            Some((25.., _)) => Err(TimeProblem::Range("time zone offset hour")),
            Some((_, 60..)) => Err(TimeProblem::Range("time zone offset minute")),
            Some(_) => {
                self.rest = &self.rest[6..];
                Ok(())
            }
        }
    }
}

fn days_in(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_stops_where_go_s_reader_does() {
        for (text, at) in [
            ("", None),
            ("YQ==", None),
            ("YWJj", None),
            ("YQ=\n=", None),
            ("YR==", None),
            ("YQ", Some(0)),
            ("YQ=", Some(3)),
            ("Y!==", Some(1)),
            ("YQ==x", Some(4)),
            ("=", Some(0)),
            ("YWJj=", Some(4)),
            ("YWJjZA", Some(4)),
            ("!", Some(0)),
        ] {
            assert_eq!(base64_error(text), at, "{text:?}");
        }
    }

    #[test]
    fn times_are_refused_in_go_s_words() {
        let as_layout = |text: &str, rest: &str, element: &str| {
            Some(format!(
                "parsing time \"{text}\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"{rest}\" as \"{element}\""
            ))
        };
        for (text, expected) in [
            ("2020-01-01T00:00:00Z", None),
            ("2020-01-01T00:00:00.5+02:00", None),
            ("x", as_layout("x", "x", "2006")),
            ("", as_layout("", "", "2006")),
            ("2020-01-01", as_layout("2020-01-01", "", "T")),
            (
                "2020-1-01T00:00:00Z",
                as_layout("2020-1-01T00:00:00Z", "1-01T00:00:00Z", "01"),
            ),
            (
                "2020-01-01t00:00:00Z",
                as_layout("2020-01-01t00:00:00Z", "t00:00:00Z", "T"),
            ),
            (
                "2020-01-01T00:00:00+0200",
                as_layout("2020-01-01T00:00:00+0200", "+0200", "Z07:00"),
            ),
            (
                "2020-02-30T00:00:00Z",
                Some("parsing time \"2020-02-30T00:00:00Z\": day out of range".to_owned()),
            ),
            (
                "2020-13-01T00:00:00Z",
                Some("parsing time \"2020-13-01T00:00:00Z\": month out of range".to_owned()),
            ),
            (
                "2020-01-01T25:00:00Z",
                Some("parsing time \"2020-01-01T25:00:00Z\": hour out of range".to_owned()),
            ),
            (
                "2020-01-01T00:00:00Zx",
                Some("parsing time \"2020-01-01T00:00:00Zx\": extra text: \"x\"".to_owned()),
            ),
        ] {
            assert_eq!(time_error(text, false), expected);
        }
        assert_eq!(time_error("2020-01-01T00:00:00.123456Z", true), None);
        assert_eq!(
            time_error("2020-01-01T00:00:00Z", true).as_deref(),
            Some(
                "parsing time \
            \"2020-01-01T00:00:00Z\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"Z\" as \".000000\""
            )
        );
    }
}
