//! `-o custom-columns=NAME:.metadata.name,...` and the file form: headings, then a line of paths.

use serde_json::Value;

use super::go;
use super::jsonpath::{self, Template};
use super::table::Layout;

/// The columns of a custom table.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    headings: Vec<String>,
    paths: Vec<Template>,
}

impl Columns {
    /// Parses `HEADING:path,...`.
    pub(crate) fn parse(spec: &str) -> Result<Self, String> {
        if spec.is_empty() {
            return Err("custom-columns format specified but no custom columns given".into());
        }
        let (mut headings, mut paths) = (Vec::new(), Vec::new());
        for part in spec.split(',') {
            let (heading, path) = part.split_once(':').ok_or_else(|| {
                format!(
                    "unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>"
                )
            })?;
            headings.push(heading.to_owned());
            paths.push(Template::parse(&jsonpath::relaxed(path)?, true)?);
        }
        Ok(Self { headings, paths })
    }

    /// Parses a file: a line of headings and a line of paths, both in columns.
    pub(crate) fn parse_file(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let (Some(headings), Some(paths)) = (lines.next(), lines.next()) else {
            return Err("error reading custom columns file: it needs a line of headings and a line of paths".into());
        };
        let headings: Vec<String> = headings.split_whitespace().map(str::to_owned).collect();
        let paths: Vec<&str> = paths.split_whitespace().collect();
        if headings.len() != paths.len() {
            return Err(format!(
                "number of headers ({}) must match number of specs ({})",
                headings.len(),
                paths.len()
            ));
        }
        let paths = paths
            .into_iter()
            .map(|path| Template::parse(&jsonpath::relaxed(path)?, true))
            .collect::<Result<_, String>>()?;
        Ok(Self { headings, paths })
    }

    /// The line of headings.
    pub(crate) fn headings(&self) -> Vec<String> {
        self.headings.clone()
    }

    /// The line of one object.
    pub(crate) fn row(&self, object: &Value) -> Result<Vec<String>, String> {
        self.paths
            .iter()
            .map(|path| {
                let found = path.find(object)?;
                let nothing = found.first().is_none_or(Vec::is_empty);
                let nothing = nothing.then(|| "<none>".to_owned());
                let texts = found.iter().flatten().map(go::print::text);
                Ok(nothing
                    .into_iter()
                    .chain(texts)
                    .collect::<Vec<_>>()
                    .join(","))
            })
            .collect()
    }

    /// A table of objects.
    pub(crate) fn table(&self, objects: &[&Value], headings: bool) -> Result<String, String> {
        let mut layout = Layout::default();
        if headings {
            layout.push(self.headings());
        }
        for object in objects {
            layout.push(self.row(object)?);
        }
        Ok(layout.flush())
    }
}
