//! How objects are printed: each form of `-o` in a file of its own.

pub(crate) mod columns;
pub(crate) mod go;
pub(crate) mod json;
pub(crate) mod jsonpath;
pub(crate) mod kyaml;
pub(crate) mod ordered;
pub(crate) mod sort;
pub(crate) mod table;
pub(crate) mod tabs;
pub(crate) mod template;

use std::io::{BufWriter, Write};

use serde_json::Value;

use crate::args::Print;
use crate::client::discovery::Resource;
use crate::error::{Error, Result};

/// The forms that every command which prints objects has.
const COMMON: [&str; 11] = [
    "go-template",
    "go-template-file",
    "json",
    "jsonpath",
    "jsonpath-as-json",
    "jsonpath-file",
    "kyaml",
    "name",
    "template",
    "templatefile",
    "yaml",
];

/// A form of output, ready to print objects.
#[derive(Clone, Debug)]
pub(crate) enum Format {
    /// The message or the table that the command has of its own.
    Human,
    /// A table with all columns.
    Wide,
    /// Indented JSON.
    Json,
    /// YAML.
    Yaml,
    /// YAML with braces, as JSON is written.
    Kyaml,
    /// `kind.group/name`.
    Name,
    /// A JSONPath template.
    JsonPath(jsonpath::Template, String),
    /// The values of a JSONPath, as a JSON list.
    JsonPathAsJson(jsonpath::Template, String),
    /// A Go template.
    GoTemplate(template::Template),
    /// A table of paths.
    Columns(columns::Columns),
}

impl Format {
    /// The form that the flags ask for; `tables` tells whether wide and custom columns are offered.
    pub(crate) fn parse(flags: &Print, tables: bool) -> Result<Self> {
        let Some(output) = flags.output.as_deref().filter(|o| !o.is_empty()) else {
            return match &flags.template {
                Some(template) if !template.is_empty() => {
                    Self::with_argument("go-template", template, flags, tables)
                }
                _ => Ok(Self::Human),
            };
        };
        let (form, argument) = output.split_once('=').unwrap_or((output, ""));
        match output {
            "json" => return Ok(Self::Json),
            "yaml" => return Ok(Self::Yaml),
            "kyaml" => return Ok(Self::Kyaml),
            "name" => return Ok(Self::Name),
            "wide" if tables => return Ok(Self::Wide),
            _ => {}
        }
        let template = flags.template.as_deref().unwrap_or_default();
        let argument = match (template, output.contains('=')) {
            ("", _) => argument,
            (template, false) => template,
            // Of two templates none is taken.
            (_, true) => return Err(unknown(output, tables)),
        };
        Self::with_argument(form, argument, flags, tables)
    }

    fn with_argument(form: &str, argument: &str, flags: &Print, tables: bool) -> Result<Self> {
        let allow = flags.allow_missing_template_keys;
        let file = || {
            if argument.is_empty() {
                return Err(missing_argument());
            }
            std::fs::read_to_string(argument).map_err(|error| {
                let problem = crate::error::os(&error);
                Error::Plain(if form == "custom-columns-file" {
                    format!("error reading template {argument}, open {argument}: {problem}")
                } else {
                    format!("error reading --template {argument}, open {argument}: {problem}")
                })
            })
        };
        let given = || {
            if argument.is_empty() {
                Err(missing_argument())
            } else {
                Ok(argument.to_owned())
            }
        };
        let path = |text: &str| {
            jsonpath::Template::parse(text, allow)
                .map_err(|error| Error::Plain(format!("error parsing jsonpath {text}, {error}")))
        };
        let go = |text: &str| {
            template::Template::parse(text, allow)
                .map_err(|error| Error::Plain(format!("error parsing template {text}, {error}")))
        };
        match form {
            "jsonpath" => given().and_then(|t| Ok(Self::JsonPath(path(&t)?, t))),
            "jsonpath-as-json" => given().and_then(|t| Ok(Self::JsonPathAsJson(path(&t)?, t))),
            "jsonpath-file" => file().and_then(|t| Ok(Self::JsonPath(path(&t)?, t))),
            "go-template" | "template" => Ok(Self::GoTemplate(go(&given()?)?)),
            "go-template-file" | "templatefile" => Ok(Self::GoTemplate(go(&file()?)?)),
            "custom-columns" if tables => columns::Columns::parse(argument)
                .map(Self::Columns)
                .map_err(Error::Plain),
            "custom-columns-file" if tables => columns::Columns::parse_file(&file()?)
                .map(Self::Columns)
                .map_err(Error::Plain),
            _ => Err(unknown(flags.output.as_deref().unwrap_or_default(), tables)),
        }
    }

    /// Whether the command's own form is wanted, rather than the object itself.
    pub(crate) fn is_human(&self) -> bool {
        matches!(self, Self::Human | Self::Wide)
    }

    /// The text of one object.
    pub(crate) fn object(&self, object: &Value, resource: Option<&Resource>) -> Result<String> {
        match self {
            Self::Human | Self::Wide => Ok(String::new()),
            Self::Json => Ok(json::pretty(object)),
            Self::Yaml => Ok(api::wire::yaml::write(object)),
            Self::Kyaml => Ok(kyaml::write(object)),
            Self::Name => Ok(names(object, resource)),
            Self::JsonPath(path, text) => path
                .text(object)
                .map_err(|error| jsonpath_error(&error, text, object)),
            Self::JsonPathAsJson(path, text) => path
                .lists(object)
                .map_err(|error| jsonpath_error(&error, text, object)),
            Self::GoTemplate(template) => {
                let mut out = Vec::new();
                run_template(template, object, &mut out)?;
                Ok(String::from_utf8_lossy(&out).into_owned())
            }
            Self::Columns(columns) => {
                let mut layout = table::Layout::default();
                columns.add(&items(object), true, &mut layout)?;
                Ok(layout.flush())
            }
        }
    }
}

impl Format {
    /// Writes one object to stdout. What a Go template writes needs to be no text, nor to end.
    pub(crate) fn print(&self, object: &Value, resource: Option<&Resource>) -> Result<()> {
        let template = match self {
            Self::GoTemplate(template) => template,
            Self::Columns(columns) => return columns.print(&items(object), true),
            _ => return crate::context::print(&self.object(object, resource)?),
        };
        let mut out = BufWriter::new(std::io::stdout());
        let ran = run_template(template, object, &mut out);
        out.flush()?;
        ran
    }
}

/// The objects of a list, or the one that is none.
fn items(object: &Value) -> Vec<&Value> {
    let list = object["items"].as_array();
    list.map_or_else(|| vec![object], |items| items.iter().collect())
}

/// Runs a Go template. Of an error the output tells more than the message does.
fn run_template(
    template: &template::Template,
    object: &Value,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let problem = match template.run(object, out) {
        Ok(()) => return Ok(()),
        Err(template::Stop::Output(error)) => return Err(error.into()),
        Err(template::Stop::Problem(problem)) => problem,
    };
    let object = go::value::written_and_read(object);
    let source = template.source();
    write!(
        out,
        "Error executing template: {problem}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t{source}\n\traw data was:\n\t\t{}\n\tobject given to template engine was:\n\t\t{}\n\n",
        json::compact(&object),
        go::print::text(&go::Value::of(&object)),
    )?;
    let quoted = go::quote::quote(source.as_bytes(), false);
    Err(Error::Plain(format!(
        "error executing template {quoted}: {problem}"
    )))
}

fn missing_argument() -> Error {
    Error::Plain("template format specified but no template given".to_owned())
}

fn unknown(output: &str, tables: bool) -> Error {
    let mut allowed: Vec<&str> = COMMON.to_vec();
    if tables {
        allowed.extend(["custom-columns", "custom-columns-file", "wide"]);
    }
    allowed.sort_unstable();
    Error::Plain(format!(
        "unable to match a printer suitable for the output format {output:?}, allowed formats are: {}",
        allowed.join(",")
    ))
}

fn jsonpath_error(error: &str, template: &str, object: &Value) -> Error {
    let quoted = go::quote::quote(template.as_bytes(), false);
    Error::Plain(format!(
        "error executing jsonpath {quoted}: Error executing template: {error}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t{template}\n\tobject given to jsonpath engine was:\n\t\t{}\n\n",
        go::print::syntax(&go::Value::of(object))
    ))
}

/// `kind.group/name` of an object, or of each in a list.
fn names(object: &Value, resource: Option<&Resource>) -> String {
    if let Some(items) = object["items"].as_array() {
        return items.iter().map(|item| names(item, None)).collect();
    }
    let group = object["apiVersion"]
        .as_str()
        .and_then(|v| v.split_once('/'))
        .map_or("", |(group, _)| group);
    let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
    let prefix = match resource {
        Some(resource) if kind.is_empty() => resource.prefix(),
        _ if group.is_empty() => kind,
        _ => format!("{kind}.{group}"),
    };
    let name = match api::meta::name(object) {
        "" => "<unknown>",
        name => name,
    };
    format!("{prefix}/{name}\n")
}

/// The object without `metadata.managedFields`, in lists too.
pub(crate) fn without_managed_fields(mut object: Value) -> Value {
    strip(&mut object);
    if let Some(items) = object.get_mut("items").and_then(Value::as_array_mut) {
        items.iter_mut().for_each(strip);
    }
    object
}

fn strip(object: &mut Value) {
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove("managedFields");
    }
}

/// Prints what a command did to an object: a message, or the object in the form asked for.
pub(crate) fn outcome(
    format: &Format,
    flags: &Print,
    object: &Value,
    resource: &Resource,
    message: &str,
) -> Result<()> {
    match format {
        Format::Human | Format::Wide => crate::context::line(&format!(
            "{}/{} {message}",
            resource.prefix(),
            api::meta::name(object)
        )),
        other if flags.show_managed_fields => other.print(object, Some(resource)),
        other => other.print(&without_managed_fields(object.clone()), Some(resource)),
    }
}
