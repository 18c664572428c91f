//! `--config FILE`: the flags of a command, from a YAML file.
//!
//! A key is a flag's name without the dashes. The file's flags are put before those of the command
//! line, so that a later one wins, and go through the same parser: there is one definition of a flag.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use serde_yaml::{Mapping, Value};

/// Why a configuration file can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("can't read the configuration file {0}: {1}")]
    Read(PathBuf, std::io::Error),
    #[error("the configuration file {0} is not valid: {1}")]
    Syntax(PathBuf, serde_yaml::Error),
    #[error(
        "the configuration file {0}: the value of {1:?} must be a string, number, boolean or a list of them"
    )]
    Value(PathBuf, String),
}

/// Puts the flags of the file that `--config` names after the sub-command.
pub(crate) fn expand(words: Vec<OsString>) -> Result<Vec<OsString>, Error> {
    let Some(file) = named_file(&words) else {
        return Ok(words);
    };
    let text = fs::read_to_string(&file).map_err(|e| Error::Read(file.clone(), e))?;
    let flags: Option<Mapping> =
        serde_yaml::from_str(&text).map_err(|e| Error::Syntax(file.clone(), e))?;
    let mut expanded: Vec<OsString> = words.iter().take(2).cloned().collect();
    for (key, value) in flags.unwrap_or_default() {
        let key = scalar(&key).ok_or_else(|| Error::Value(file.clone(), format!("{key:?}")))?;
        expanded.extend(flag(&key, &value).ok_or_else(|| Error::Value(file.clone(), key))?);
    }
    expanded.extend(words.into_iter().skip(2));
    Ok(expanded)
}

fn named_file(words: &[OsString]) -> Option<PathBuf> {
    let mut words = words.iter().skip(2);
    while let Some(word) = words.next() {
        let word = word.to_str()?;
        if word == "--config" {
            return words.next().map(PathBuf::from);
        }
        if let Some(file) = word.strip_prefix("--config=") {
            return Some(PathBuf::from(file));
        }
    }
    None
}

/// The words of one flag: a true switch stands alone, a false one is left out.
fn flag(key: &str, value: &Value) -> Option<Option<OsString>> {
    let text = match value {
        Value::Bool(true) => return Some(Some(format!("--{key}").into())),
        Value::Bool(false) => return Some(None),
        Value::Sequence(items) => {
            let items: Option<Vec<String>> = items.iter().map(scalar).collect();
            items?.join(",")
        }
        value => scalar(value)?,
    };
    Some(Some(format!("--{key}={text}").into()))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
