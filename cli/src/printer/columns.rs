//! `-o custom-columns=NAME:.metadata.name,...` and the file form: headings, then a line of paths.

use serde_json::Value;

use super::go;
use super::jsonpath::{self, Template};
use super::table::Layout;

/// The columns of a custom table.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    headings: Vec<String>,
    /// As JSONPaths: what is wrong with one is only told below the headings.
    paths: Vec<String>,
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
            paths.push(jsonpath::relaxed(path)?);
        }
        Ok(Self { headings, paths })
    }

    /// Parses a file: a line of headings and a line of paths, both in columns.
    pub(crate) fn parse_file(text: &str) -> Result<Self, String> {
        const FORMAT: &str = "Expected format is one line of space separated headers, one line of space separated column specs.";
        let mut lines = text.lines();
        let mut line = |what: &str| {
            let missing = || format!("invalid template, missing {what} line. {FORMAT}");
            lines.next().ok_or_else(missing)
        };
        let headings = line("header")?.split_whitespace().map(str::to_owned);
        let headings: Vec<String> = headings.collect();
        let paths: Vec<&str> = line("spec")?.split_whitespace().collect();
        if headings.len() != paths.len() {
            return Err(format!(
                "number of headers ({}) and field specifications ({}) don't match",
                headings.len(),
                paths.len()
            ));
        }
        let paths = paths
            .into_iter()
            .map(jsonpath::relaxed)
            .collect::<Result<_, String>>()?;
        Ok(Self { headings, paths })
    }

    /// Adds the headings, if they are wanted, and a line for each object, up to what goes wrong.
    pub(crate) fn add(
        &self,
        objects: &[&Value],
        headings: bool,
        layout: &mut Layout,
    ) -> Result<(), String> {
        if headings {
            layout.push(self.headings.clone());
        }
        let paths = self.paths.iter().map(|path| Template::parse(path, true));
        let paths: Vec<Template> = paths.collect::<Result<_, String>>()?;
        for object in objects {
            let row = paths.iter().map(|path| cell(path, object));
            layout.push(row.collect::<Result<_, String>>()?);
        }
        Ok(())
    }

    /// Prints a table of objects.
    pub(crate) fn print(&self, objects: &[&Value], headings: bool) -> crate::error::Result<()> {
        let mut layout = Layout::default();
        let added = self.add(objects, headings, &mut layout);
        crate::context::print(&layout.flush())?;
        Ok(added?)
    }
}

fn cell(path: &Template, object: &Value) -> Result<String, String> {
    let found = path.find(object)?;
    let nothing = found.first().is_none_or(Vec::is_empty);
    let nothing = nothing.then(|| "<none>".to_owned());
    // A terminal is not to obey what an object holds.
    let texts = found.iter().flatten().map(go::print::text);
    let texts = texts.map(|text| text.replace('\u{1b}', "^[").replace('\r', "\\r"));
    Ok(nothing
        .into_iter()
        .chain(texts)
        .collect::<Vec<_>>()
        .join(","))
}
