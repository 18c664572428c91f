//! What a reader of logs asks for: the query of `containerLogs`.

use jiff::{SignedDuration, Timestamp};

/// Which lines of a log, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Go on with what comes.
    pub(crate) follow: bool,
    /// Of the run before the present one.
    pub(crate) previous: bool,
    /// Put the time before each line.
    pub(crate) timestamps: bool,
    /// Only lines written at or after that time.
    pub(crate) since: Option<Timestamp>,
    /// Only the last lines of what is there.
    pub(crate) tail: Option<usize>,
    /// No more bytes than that.
    pub(crate) limit: Option<u64>,
    /// Only that stream: `stdout` or `stderr`.
    pub(crate) stream: Option<String>,
}

impl Options {
    /// Reads a query.
    ///
    /// # Errors
    /// Which parameter has a value that it can't have.
    pub(crate) fn parse(query: &str, now: Timestamp) -> Result<Self, String> {
        let mut options = Self::default();
        for (name, value) in crate::streaming::query::pairs(query) {
            let bad = |_| format!("invalid value {value:?} of {name}");
            match name.as_str() {
                "follow" => options.follow = flag(&value),
                "previous" => options.previous = flag(&value),
                "timestamps" => options.timestamps = flag(&value),
                "tailLines" => options.tail = Some(value.parse().map_err(|_| bad(()))?),
                "limitBytes" => options.limit = Some(value.parse().map_err(|_| bad(()))?),
                "sinceSeconds" => {
                    let seconds: i64 = value.parse().map_err(|_| bad(()))?;
                    options.since = now.checked_sub(SignedDuration::from_secs(seconds)).ok();
                }
                "sinceTime" => {
                    options.since = Some(value.parse().map_err(|_| bad(()))?);
                }
                "stream" => {
                    let stream = value.to_lowercase();
                    options.stream = (stream != "all").then_some(stream);
                }
                _ => {}
            }
        }
        Ok(options)
    }
}

fn flag(value: &str) -> bool {
    !matches!(value, "false" | "0" | "f" | "F" | "FALSE" | "False")
}
