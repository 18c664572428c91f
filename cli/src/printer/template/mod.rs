//! Go templates (`text/template`), with the functions that kubectl has: `exists`, `base64decode` and
//! Go's own.
//!
//! [`parse`] makes a tree, [`run`] walks it over a JSON value.

mod functions;
mod parse;
mod run;

use serde_json::Value;

/// A template, ready to run.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    source: String,
    nodes: Vec<Node>,
    allow_missing: bool,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    Action(Pipe),
    If(Pipe, Vec<Node>, Vec<Node>),
    Range(Pipe, Vec<Node>, Vec<Node>),
    With(Pipe, Vec<Node>, Vec<Node>),
    Break,
    Continue,
}

/// Commands, each of which gets the result of the one before as its last argument.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pipe {
    variables: Vec<String>,
    declares: bool,
    commands: Vec<Vec<Term>>,
}

/// A word of a command.
#[derive(Clone, Debug, PartialEq)]
enum Term {
    Literal(Value),
    Dot(Vec<String>),
    Variable(String, Vec<String>),
    Function(String),
    Nested(Pipe, Vec<String>),
}

impl Template {
    /// Parses a template; the message is Go's.
    pub(crate) fn parse(text: &str, allow_missing: bool) -> Result<Self, String> {
        Ok(Self {
            source: text.to_owned(),
            nodes: parse::parse(text)?,
            allow_missing,
        })
    }

    /// The text it was parsed from.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Runs the template over a value.
    pub(crate) fn run(&self, value: &Value) -> Result<String, String> {
        run::run(&self.nodes, value, self.allow_missing)
    }
}

#[cfg(test)]
mod tests {
    use super::Template;
    use serde_json::json;

    fn text(template: &str) -> Result<String, String> {
        let value = json!({"kind": "List", "items": [
            {"name": "a", "n": 1, "data": {"x": "aGk="}}, {"name": "b", "n": 2, "list": [1, 2]}]});
        Template::parse(template, true)?.run(&value)
    }

    #[test]
    fn ranges_set_dot_and_variables() {
        assert_eq!(text("{{range .items}}{{.name}} {{end}}").unwrap(), "a b ");
        assert_eq!(
            text("{{range $i, $e := .items}}{{$i}}={{$e.name}};{{end}}").unwrap(),
            "0=a;1=b;"
        );
        assert_eq!(
            text("{{range .none}}x{{else}}empty{{end}}").unwrap(),
            "empty"
        );
    }

    #[test]
    fn conditions_and_comparisons_choose() {
        assert_eq!(
            text("{{if eq .kind \"List\"}}yes{{else}}no{{end}}").unwrap(),
            "yes"
        );
        assert_eq!(
            text("{{range .items}}{{if gt .n 1.0}}{{.name}}{{end}}{{end}}").unwrap(),
            "b"
        );
        assert_eq!(text("{{if and .kind (not .none)}}ok{{end}}").unwrap(), "ok");
        assert_eq!(text("{{if .none}}a{{else if .kind}}b{{end}}").unwrap(), "b");
    }

    #[test]
    fn functions_of_kubectl_and_of_go_work() {
        assert_eq!(
            text("{{(index .items 0).data.x | base64decode}}").unwrap(),
            "hi"
        );
        assert_eq!(
            text("{{len .items}} {{printf \"%s-%v\" .kind 3}}").unwrap(),
            "2 List-3"
        );
        assert_eq!(
            text("{{exists . \"items\" 1 \"list\"}} {{exists . \"nope\"}}").unwrap(),
            "true false"
        );
    }

    #[test]
    fn missing_keys_print_no_value_and_blanks_are_trimmed() {
        assert_eq!(text("{{.nope}}").unwrap(), "<no value>");
        assert_eq!(text("a  {{- \" b \" -}}  c").unwrap(), "a b c");
        assert_eq!(
            text("{{/* nothing */}}{{with .kind}}{{.}}{{end}}").unwrap(),
            "List"
        );
    }

    #[test]
    fn maps_and_lists_print_as_go_prints_them() {
        assert_eq!(
            text("{{index .items 1}}").unwrap(),
            "map[list:[1 2] n:2 name:b]"
        );
    }

    #[test]
    fn an_unknown_function_is_an_error() {
        assert_eq!(
            text("{{nope 1}}").unwrap_err(),
            "template: output:1: function \"nope\" not defined"
        );
    }
}
