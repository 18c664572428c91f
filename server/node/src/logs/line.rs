//! One line of a log file.

use jiff::Timestamp;

/// A line, split into its fields.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// As it stands in the file.
    pub(super) time: &'a [u8],
    /// `stdout` or `stderr`.
    pub(super) stream: &'a [u8],
    /// Whether the next line of the stream goes on with this one.
    pub(super) partial: bool,
    /// What the container wrote, without a newline.
    pub(super) text: &'a [u8],
}

impl<'a> Line<'a> {
    /// Splits a line (without its newline); `None` if it is not one of a log.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.splitn(4, |&byte| byte == b' ');
        let time = fields.next()?;
        let stream = fields.next()?;
        let tags = fields.next()?;
        let text = fields.next()?;
        let known = stream == b"stdout" || stream == b"stderr";
        known.then(|| Self {
            time,
            stream,
            partial: tags.split(|&byte| byte == b':').next() == Some(b"P"),
            text,
        })
    }

    /// When it was written.
    pub(super) fn timestamp(&self) -> Option<Timestamp> {
        std::str::from_utf8(self.time).ok()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_into_time_stream_tag_and_text() {
        let line = Line::parse(b"2026-01-02T03:04:05.6Z stdout F a  b ").expect("a line");
        assert_eq!(line.text, b"a  b ");
        assert!(!line.partial);
        assert!(line.timestamp().is_some());
        let line = Line::parse(b"2026-01-02T03:04:05.6Z stderr P ").expect("a line");
        assert!(line.partial);
        assert_eq!(line.text, b"");
        for bad in ["", "x", "2026 stdout F", "2026 other F text"] {
            assert_eq!(Line::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
