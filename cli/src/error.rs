//! What goes wrong, and the text and exit code that the user gets for it, as kubectl words them.

use std::fmt::Write as _;

use serde_json::Value;

/// Anything that ends a command early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A message that gets `error: ` in front, unless it has it.
    #[error("{0}")]
    Plain(String),
    /// A message that is printed as it is.
    #[error("{0}")]
    Bare(String),
    /// An answer of the server that is a failure; `context` is what was being done.
    #[error("{}", status_message(.status))]
    Status {
        /// The `Status` object.
        status: Value,
        /// In front of the message, such as `error when creating "x.yaml"`; or empty.
        context: String,
        /// What follows the message, such as the hint of server-side apply; or empty.
        hint: String,
    },
    /// The server could not be reached or spoken with.
    #[error("{0}")]
    Connect(Connect),
    /// The kubeconfig has problems.
    #[error("invalid configuration")]
    Configuration(Vec<String>),
    /// Several of them, each printed on its own.
    #[error("{}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Many(Vec<Error>),
    /// Everything has been said: leave with this code.
    #[error("exit code {0}")]
    Exit(u8),
    /// Reading or writing went wrong.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Why the server could not be spoken with.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Connect {
    /// Nobody listens at that host and port.
    #[error("connection refused")]
    Refused(String),
    /// Anything else, worded.
    #[error("{0}")]
    Other(String),
}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Self::Plain(message)
    }
}

impl From<crate::printer::sort::SortError> for Error {
    fn from(error: crate::printer::sort::SortError) -> Self {
        Self::Plain(error.to_string())
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Self {
        Self::Plain(message.to_owned())
    }
}

/// The result of what a command does.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure that the server answered.
    pub(crate) fn status(status: Value) -> Self {
        Self::Status {
            status,
            context: String::new(),
            hint: String::new(),
        }
    }

    /// Several errors as one; one alone stays itself.
    pub(crate) fn many(mut errors: Vec<Self>) -> Result<()> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Self::Many(errors)),
        }
    }

    /// The same with words in front: `error when creating "x.yaml": ...`.
    #[must_use]
    pub(crate) fn when(self, words: &str) -> Self {
        match self {
            Self::Status {
                status,
                context,
                hint,
            } => Self::Status {
                status,
                context: if context.is_empty() {
                    words.to_owned()
                } else {
                    format!("{words}: {context}")
                },
                hint,
            },
            Self::Plain(message) => Self::Plain(format!("{words}: {message}")),
            other => other,
        }
    }

    /// The `reason` of the server's answer.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Status { status, .. } => status["reason"].as_str().unwrap_or_default(),
            _ => "",
        }
    }

    /// Whether the server says that the object does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        self.reason() == "NotFound"
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Exit(code) => *code,
            _ => 1,
        }
    }

    /// What stderr gets, without the last newline; empty for nothing.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Exit(_) => String::new(),
            Self::Bare(message) => message.clone(),
            Self::Io(error) if error.kind() == std::io::ErrorKind::BrokenPipe => String::new(),
            Self::Status {
                status,
                context,
                hint,
            } => status_text(status, context, hint),
            Self::Connect(Connect::Refused(host)) => {
                format!(
                    "The connection to the server {host} was refused - did you specify the right host or port?"
                )
            }
            Self::Connect(Connect::Other(message)) => {
                format!("Unable to connect to the server: {message}")
            }
            Self::Configuration(problems) => match problems.as_slice() {
                [one] => format!("Error in configuration: {one}"),
                several => {
                    let mut text = "Error in configuration: \n".to_owned();
                    for problem in several {
                        let _ = writeln!(text, "* {problem}");
                    }
                    text.trim_end().to_owned()
                }
            },
            Self::Many(errors) => {
                let lines: Vec<String> = errors.iter().map(Self::line_of_many).collect();
                lines.join("\n")
            }
            other => {
                let message = other.to_string();
                if message.starts_with("error: ") {
                    message
                } else {
                    format!("error: {message}")
                }
            }
        }
    }

    /// One of several: kubectl leaves the word `error` out of these, and lists no causes.
    fn line_of_many(&self) -> String {
        match self {
            Self::Plain(message) => message.clone(),
            Self::Status {
                status,
                context,
                hint,
            } => standard_text(status, context, hint),
            other => other.text(),
        }
    }
}

/// The message of a `Status`.
pub(crate) fn status_message(status: &Value) -> &str {
    status["message"].as_str().unwrap_or_default()
}

/// kubectl prints an answer with reason Invalid by its causes, which say nothing of what was being done.
fn status_text(status: &Value, context: &str, hint: &str) -> String {
    if status["reason"] == "Invalid" {
        return invalid_text(status) + hint;
    }
    standard_text(status, context, hint)
}

/// An answer with reason Unauthorized is printed as advice, others are by their reason.
fn standard_text(status: &Value, context: &str, hint: &str) -> String {
    let reason = status["reason"].as_str().unwrap_or_default();
    let message = status_message(status);
    let message = if context.is_empty() {
        message.to_owned()
    } else {
        format!("{context}: {message}")
    };
    match reason {
        "Unauthorized" => format!("error: You must be logged in to the server ({message})"),
        "" => format!("Error from server: {message}{hint}"),
        _ => format!("Error from server ({reason}): {message}{hint}"),
    }
}

fn invalid_text(status: &Value) -> String {
    let details = &status["details"];
    let message = status_message(status);
    if details.is_null() {
        return if message.is_empty() {
            "The request is invalid".to_owned()
        } else {
            format!("The request is invalid: {message}")
        };
    }
    let (kind, name) = (
        details["kind"].as_str().unwrap_or_default(),
        details["name"].as_str().unwrap_or_default(),
    );
    let causes = cause_lines(details);
    let mut text = "The request is invalid".to_owned();
    if !kind.is_empty() || !name.is_empty() {
        text = format!("The {kind} {name:?} is invalid");
    } else if !message.is_empty() && causes.is_empty() {
        text = format!("{text}: {message}");
    }
    match causes.as_slice() {
        [] => text,
        [one] => format!("{text}: {one}"),
        several => {
            text.push_str(": ");
            for cause in several {
                let _ = write!(text, "\n* {cause}");
            }
            text
        }
    }
}

fn cause_lines(details: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for cause in details["causes"].as_array().into_iter().flatten() {
        let field = cause["field"].as_str().unwrap_or_default();
        let message = cause["message"].as_str().unwrap_or_default();
        let line = format!("{field}: {message}");
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// The words of the operating system for an error, as Go has them: lower case, without the number.
pub(crate) fn os(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    text.to_lowercase()
}
