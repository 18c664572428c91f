//! In which form a client wants its answer: what `Accept`, `pretty` and the user agent say.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, USER_AGENT};

use crate::error::{Error, Result};
use crate::query::Query;

/// The text form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// JSON on one line.
    Json,
    /// JSON for people to read.
    Pretty,
    /// YAML.
    Yaml,
}

/// What is shown of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// All of them.
    Object,
    /// A table's rows.
    Table,
    /// Metadata alone. Whether the list form was named.
    Partial {
        /// `PartialObjectMetadataList` rather than `PartialObjectMetadata`.
        list: bool,
    },
    /// Discovery of all groups in one document.
    Discovery,
}

/// A form that a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// The text form.
    pub(crate) encoding: Encoding,
    /// What is shown.
    pub(crate) shape: Shape,
    /// Whether the client reads gzip.
    pub(crate) gzip: bool,
}

impl Form {
    /// The plain form, for answers that must be given whatever the client accepts.
    pub(crate) fn plain() -> Self {
        Self {
            encoding: Encoding::Json,
            shape: Shape::Object,
            gzip: false,
        }
    }

    /// The first form of `Accept` that there is.
    pub(crate) fn of(headers: &HeaderMap, query: &Query, shapes: &[Shape]) -> Result<Self> {
        let text = |name| {
            headers
                .get(name)
                .and_then(|v: &http::HeaderValue| v.to_str().ok())
        };
        let accept = text(ACCEPT).filter(|accept| !accept.trim().is_empty());
        let ranges = accept.unwrap_or("*/*").split(',');
        let found = ranges
            .filter_map(|range| Self::of_range(range, shapes))
            .next();
        let (mut encoding, shape) = found.ok_or_else(|| {
            Error::not_acceptable(
                "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml",
            )
        })?;
        let agent = text(USER_AGENT).unwrap_or_default();
        let by_hand = ["curl", "Wget", "Mozilla/5.0"];
        let pretty = match query.first("pretty") {
            Some(_) => query.flag("pretty"),
            None => by_hand.iter().any(|name| agent.starts_with(name)),
        };
        if pretty && encoding == Encoding::Json {
            encoding = Encoding::Pretty;
        }
        let gzip = text(ACCEPT_ENCODING).is_some_and(|accepted| {
            let mut codings = accepted.split(',').map(str::trim);
            codings.any(|coding| coding == "gzip" || coding.starts_with("gzip;"))
        });
        Ok(Self {
            encoding,
            shape,
            gzip,
        })
    }

    fn of_range(range: &str, shapes: &[Shape]) -> Option<(Encoding, Shape)> {
        let mut parts = range.split(';').map(str::trim);
        let encoding = match parts.next()? {
            "application/json" | "*/*" => Encoding::Json,
            "application/yaml" => Encoding::Yaml,
            _ => return None,
        };
        let (mut name, mut group, mut version) = ("", "", "");
        for part in parts {
            match part.split_once('=')? {
                ("as", value) => name = value,
                ("g", value) => group = value,
                ("v", value) => version = value,
                _ => {}
            }
        }
        let shape = match (name, group, version) {
            ("", _, _) => Shape::Object,
            ("Table", "meta.k8s.io", "v1" | "v1beta1") => Shape::Table,
            ("PartialObjectMetadata", "meta.k8s.io", "v1" | "v1beta1") => {
                Shape::Partial { list: false }
            }
            ("PartialObjectMetadataList", "meta.k8s.io", "v1" | "v1beta1") => {
                Shape::Partial { list: true }
            }
            ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") => Shape::Discovery,
            _ => return None,
        };
        shapes.contains(&shape).then_some((encoding, shape))
    }
}

/// The shapes of requests for objects.
pub(crate) const OBJECTS: &[Shape] = &[
    Shape::Object,
    Shape::Table,
    Shape::Partial { list: false },
    Shape::Partial { list: true },
];
/// The shapes of requests that have no table.
pub(crate) const PLAIN: &[Shape] = &[Shape::Object];
/// The shapes of discovery.
pub(crate) const DISCOVERY: &[Shape] = &[Shape::Object, Shape::Discovery];

#[cfg(test)]
mod tests {
    use super::*;

    fn form(accept: &str) -> Option<(Encoding, Shape)> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        let form = Form::of(&headers, &Query::default(), OBJECTS).ok()?;
        Some((form.encoding, form.shape))
    }

    #[test]
    fn the_first_form_that_exists_wins() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        assert_eq!(form(table), Some((Encoding::Json, Shape::Table)));
        let protobuf = "application/vnd.kubernetes.protobuf,application/json";
        assert_eq!(form(protobuf), Some((Encoding::Json, Shape::Object)));
        assert_eq!(
            form("application/yaml"),
            Some((Encoding::Yaml, Shape::Object))
        );
    }

    #[test]
    fn a_form_that_nobody_has_is_refused() {
        assert_eq!(form("text/plain"), None);
        assert_eq!(form("application/*"), None);
        assert_eq!(form("application/json;as=Chart;v=v1;g=meta.k8s.io"), None);
    }
}
