//! The query of a request: names and values, decoded.

use std::num::IntErrorKind;

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};

/// The parameters, in the order of the URL.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the part of the URL behind the `?`.
    pub(crate) fn parse(text: Option<&str>) -> Self {
        let pairs = text.unwrap_or_default().split('&');
        let pairs = pairs.filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self(pairs.collect())
    }

    /// Adds a parameter. A selector is joined to the one that is there.
    pub(crate) fn add(&mut self, name: &str, value: String) {
        match self.0.iter_mut().find(|(n, v)| n == name && !v.is_empty()) {
            Some((_, present)) => {
                present.push(',');
                present.push_str(&value);
            }
            None => self.0.insert(0, (name.to_owned(), value)),
        }
    }

    /// The first value of a parameter, empty if it is absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.first(name).unwrap_or_default()
    }

    /// The first value of a parameter.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All values of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of_name = self.0.iter().filter(move |(n, _)| n == name);
        of_name.map(|(_, value)| value.as_str())
    }

    /// A switch, as Kubernetes reads it: there and neither `false` nor `0`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.first(name)
            .is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "false" | "0"))
    }

    /// An integer.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>> {
        let Some(text) = self.first(name).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let number = text.parse().map(Some);
        number.map_err(|error: std::num::ParseIntError| {
            let why = match error.kind() {
                IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
                _ => "invalid syntax",
            };
            let text = api::field::go_quoted(text);
            Error::bad_request(format!("strconv.ParseInt: parsing {text}: {why}"))
        })
    }
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}
