//! Durations as Go writes and reads them: `1h30m`, `500ms`, `-1s`.

use std::time::Duration;

use jiff::SignedDuration;

/// Reads a duration, or says what is wrong with it in Go's words.
pub(crate) fn parse(text: &str) -> Result<SignedDuration, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut seconds = 0f64;
    while !rest.is_empty() {
        let digits = rest.find(|c| !is_number(c)).unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let end = rest.find(is_number).unwrap_or(rest.len());
        let scale = match &rest[..end] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            unit => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
        };
        seconds += number * scale;
        rest = &rest[end..];
    }
    let signed = if negative { -seconds } else { seconds };
    SignedDuration::try_from_secs_f64(signed).map_err(|_| invalid())
}

fn is_number(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

/// The length of a duration; nothing for one below zero.
pub(crate) fn positive(duration: SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        assert_eq!(parse("1h30m"), Ok(SignedDuration::from_secs(5400)));
        assert_eq!(parse("-1.5s"), Ok(SignedDuration::from_millis(-1500)));
        assert_eq!(parse("0"), Ok(SignedDuration::ZERO));
    }

    #[test]
    fn what_is_no_duration_is_explained_in_the_words_of_go() {
        let problem = |text| parse(text).unwrap_err();
        assert_eq!(problem(""), "time: invalid duration \"\"");
        assert_eq!(problem("x"), "time: invalid duration \"x\"");
        assert_eq!(problem("5"), "time: missing unit in duration \"5\"");
        assert_eq!(problem("1x"), "time: unknown unit \"x\" in duration \"1x\"");
    }
}
