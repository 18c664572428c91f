//! Times and ages in the forms that the API and kubectl use.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// The form of `metav1.Time`: `2026-01-02T03:04:05Z`, fractions of a second cut off.
pub fn seconds(time: Timestamp) -> String {
    let t = time.to_zoned(TimeZone::UTC);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        t.year(),
        t.month(),
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    )
}

/// The form of `metav1.MicroTime`: `2026-01-02T03:04:05.000006Z`.
pub fn micros(time: Timestamp) -> String {
    let mut text = seconds(time);
    text.pop();
    let micros = time.to_zoned(TimeZone::UTC).subsec_nanosecond() / 1_000;
    text.push_str(&format!(".{micros:06}Z"));
    text
}

/// Reads either form, and any other RFC 3339 time. `None` for anything else.
pub fn parse(text: &str) -> Option<Timestamp> {
    is_rfc3339(text).then(|| text.parse().ok()).flatten()
}

/// jiff also reads other ISO 8601 forms, which Go's `time.RFC3339` refuses.
fn is_rfc3339(text: &str) -> bool {
    let b = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| b[range].iter().all(u8::is_ascii_digit);
    if b.len() < 20
        || !digits(0..4)
        || b[4] != b'-'
        || !digits(5..7)
        || b[7] != b'-'
        || !digits(8..10)
        || b[10] != b'T'
        || !digits(11..13)
        || b[13] != b':'
        || !digits(14..16)
        || b[16] != b':'
        || !digits(17..19)
    {
        return false;
    }
    let mut rest = &b[19..];
    if rest[0] == b'.' {
        let end = 1 + rest[1..].iter().take_while(|c| c.is_ascii_digit()).count();
        if end == 1 {
            return false;
        }
        rest = &rest[end..];
    }
    match rest {
        b"Z" => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => [h1, h2, m1, m2].iter().all(|c| c.is_ascii_digit()),
        _ => false,
    }
}

/// An age as kubectl prints it: two or three significant figures, such as `5m30s`, `3d4h`, `2y10d`.
/// `<invalid>` for a time that lies more than a second ahead.
pub fn human_duration(age: SignedDuration) -> String {
    let seconds = age.as_secs();
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    if seconds < 120 {
        return format!("{}s", seconds.max(0));
    }
    let (minutes, hours) = (seconds / 60, seconds / 3_600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let with = |whole: i64, unit: &str, rest: i64, rest_unit: &str| match rest {
        0 => format!("{whole}{unit}"),
        rest => format!("{whole}{unit}{rest}{rest_unit}"),
    };
    match () {
        () if minutes < 10 => with(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => with(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => with(days, "d", hours % 24, "h"),
        () if days < 2 * 365 => format!("{days}d"),
        () if days < 8 * 365 => with(years, "y", days % 365, "d"),
        () => format!("{years}y"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_api_has_them() {
        let time: Timestamp = "2026-01-02T03:04:05.123456789Z".parse().expect("a time");
        assert_eq!(seconds(time), "2026-01-02T03:04:05Z");
        assert_eq!(micros(time), "2026-01-02T03:04:05.123456Z");
        let whole: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a time");
        assert_eq!(micros(whole), "2026-01-02T03:04:05.000000Z");
        assert_eq!(parse(&micros(whole)), Some(whole));
    }

    #[test]
    fn only_rfc_3339_is_read() {
        assert!(parse("2026-01-02T03:04:05+02:00").is_some());
        for bad in [
            "",
            "2026-01-02",
            "2026-01-02 03:04:05Z",
            "2026-01-02T03:04:05",
            "20260102T030405Z",
            "2026-13-02T03:04:05Z",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05Z[UTC]",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn ages_have_two_or_three_figures() {
        const DAY: i64 = 86_400;
        for (seconds, text) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (330, "5m30s"),
            (600, "10m"),
            (3 * 3_600 - 1, "179m"),
            (3 * 3_600, "3h"),
            (5 * 3_600 + 120, "5h2m"),
            (8 * 3_600 + 60, "8h"),
            (47 * 3_600, "47h"),
            (3 * DAY + 4 * 3_600, "3d4h"),
            (7 * DAY, "7d"),
            (8 * DAY + 3_600, "8d"),
            (729 * DAY, "729d"),
            (740 * DAY, "2y10d"),
            (730 * DAY, "2y"),
            (9 * 365 * DAY, "9y"),
        ] {
            assert_eq!(human_duration(SignedDuration::from_secs(seconds)), text);
        }
    }
}
