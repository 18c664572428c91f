//! What an unquoted scalar means in YAML 1.1, as go-yaml v2 resolves it.

use serde_json::{Number, Value};

/// The meaning of an unquoted scalar.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plain {
    /// A null, boolean or number.
    Value(Value),
    /// A number that JSON can't hold, such as `.inf`, in Go's spelling.
    NoJson(&'static str),
    /// A date, which stays a text, but which has to be quoted to be one.
    Timestamp,
    /// A text.
    Text,
}

/// Resolves an unquoted scalar.
pub(super) fn resolve(text: &str) -> Plain {
    let boolean = |value: bool| Plain::Value(Value::Bool(value));
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return boolean(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return boolean(false);
        }
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Value(Value::Null),
        ".nan" | ".NaN" | ".NAN" => return Plain::NoJson("NaN"),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Plain::NoJson("+Inf"),
        "-.inf" | "-.Inf" | "-.INF" => return Plain::NoJson("-Inf"),
        _ => {}
    }
    match text.as_bytes() {
        [b'.', ..] => float(text),
        [b'+' | b'-' | b'0'..=b'9', ..] => {
            if is_timestamp(text) {
                return Plain::Timestamp;
            }
            let digits = text.replace('_', "");
            // Go takes an underscore in a number only where a digit follows, YAML takes it anywhere.
            match integer(&digits) {
                Some(number) => Plain::Value(Value::Number(number)),
                None => float(&digits),
            }
        }
        _ => Plain::Text,
    }
}

/// Integers of base 2, 8 (`017` and `0o17`), 10 and 16.
fn integer(text: &str) -> Option<Number> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = rest.to_ascii_lowercase();
    let (digits, base) = match lower.as_bytes() {
        [b'0', b'x', ..] => (&lower[2..], 16),
        [b'0', b'o', ..] => (&lower[2..], 8),
        [b'0', b'b', ..] => (&lower[2..], 2),
        [b'0', _, ..] => (&lower[1..], 8),
        _ => (&lower[..], 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    if negative {
        let value = i128::from(magnitude).checked_neg()?;
        return i64::try_from(value).ok().map(Number::from);
    }
    Some(Number::from(magnitude))
}

/// Numbers with a point or exponent. JSON has no difference between 1 and 1.0, and Go writes 1.
fn float(text: &str) -> Plain {
    if !has_float_form(text) {
        return Plain::Text;
    }
    let Ok(value) = text.parse::<f64>() else {
        return Plain::Text;
    };
    if value.is_infinite() {
        return Plain::Text;
    }
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return Plain::Value(Value::from(value as i64));
    }
    Number::from_f64(value).map_or(Plain::Text, |n| Plain::Value(Value::Number(n)))
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn has_float_form(text: &str) -> bool {
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = digits(rest);
    let mut rest = &rest[whole..];
    if let Some(after) = rest.strip_prefix('.') {
        let fraction = digits(after);
        if whole + fraction == 0 || (whole == 0 && fraction == 0) {
            return false;
        }
        rest = &after[fraction..];
    } else if whole == 0 {
        return false;
    }
    match rest.strip_prefix(['e', 'E']) {
        None => rest.is_empty(),
        Some(exponent) => {
            let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
    }
}

/// `2006-1-2`, alone or with a time.
pub(super) fn is_timestamp(text: &str) -> bool {
    let mut rest = text;
    let mut number = |length: std::ops::RangeInclusive<usize>, after: &str| -> Option<u32> {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let value = rest[..digits].parse().ok();
        if !length.contains(&digits) {
            return None;
        }
        rest = rest[digits..].strip_prefix(after)?;
        value
    };
    let Some(_) = number(4..=4, "-") else {
        return false;
    };
    let (Some(month), Some(day)) = (number(1..=2, "-"), number(1..=2, "")) else {
        return false;
    };
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return false;
    }
    if rest.is_empty() {
        return true;
    }
    let with_zone = rest.starts_with(['T', 't']);
    let Some(time) = rest.strip_prefix(['T', 't', ' ']) else {
        return false;
    };
    is_time(time, with_zone)
}

fn is_time(text: &str, with_zone: bool) -> bool {
    let (clock, zone) = match text.find(['Z', '+', '-']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let good_zone = match (with_zone, zone.as_bytes()) {
        (false, b"") | (true, b"Z") => true,
        (true, [b'+' | b'-', h1, h2, b':', m1, m2]) => {
            [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit())
        }
        _ => false,
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let parts: Vec<&str> = clock.split(':').collect();
    let number = |s: &str| !s.is_empty() && s.len() <= 2 && s.bytes().all(|b| b.is_ascii_digit());
    good_zone
        && parts.len() == 3
        && parts.iter().all(|part| number(part))
        && fraction.bytes().all(|b| b.is_ascii_digit())
}

/// `1:30` is a number of base 60 in YAML 1.1. It is read as a text, but written quoted.
pub(super) fn is_base60(text: &str) -> bool {
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut parts = rest.split(':');
    let first = parts.next().unwrap_or_default();
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    if !first.starts_with(|c: char| c.is_ascii_digit()) || !digits(first) {
        return false;
    }
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return false;
    };
    let (last, fraction) = last.split_once('.').unwrap_or((last, ""));
    let sixty = |s: &str| match s.as_bytes() {
        [d] => d.is_ascii_digit(),
        [t, d] => (b'0'..=b'5').contains(t) && d.is_ascii_digit(),
        _ => false,
    };
    middle.iter().all(|part| sixty(part)) && sixty(last) && digits(fraction)
}
