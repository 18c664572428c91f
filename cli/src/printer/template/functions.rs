//! The functions that templates may call.

mod escape;
mod items;
mod order;

use crate::printer::go::{Data, Value, print};

use super::exec::truth;

/// What an argument has to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Takes {
    /// Go's `reflect.Value`: anything, with its interface.
    Value,
    /// `interface {}`
    Any,
    /// `string`
    Text,
}

/// What a call gives.
type Called<'a> = Result<Value<'a>, String>;

/// A function.
pub(super) struct Function {
    name: &'static str,
    pub(super) fixed: &'static [Takes],
    /// What any further arguments have to be.
    pub(super) rest: Option<Takes>,
    pub(super) call: for<'a> fn(&[Value<'a>]) -> Called<'a>,
}

/// Texts longer than this end a template rather than the program.
const MOST_BYTES: usize = 1 << 26;

const fn function(
    name: &'static str,
    fixed: &'static [Takes],
    rest: Option<Takes>,
    call: for<'a> fn(&[Value<'a>]) -> Called<'a>,
) -> Function {
    Function {
        name,
        fixed,
        rest,
        call,
    }
}

const ONE: &[Takes] = &[Takes::Value];
const TWO: &[Takes] = &[Takes::Value, Takes::Value];
const VALUES: Option<Takes> = Some(Takes::Value);
const ANY: Option<Takes> = Some(Takes::Any);

static FUNCTIONS: [Function; 21] = [
    // These three are not called as the others are.
    function("and", ONE, VALUES, |values| Ok(last(values))),
    function("or", ONE, VALUES, |values| Ok(last(values))),
    function("call", ONE, VALUES, |values| call("", values)),
    function("base64decode", &[Takes::Text], None, escape::base64decode),
    function("eq", ONE, VALUES, order::eq),
    function("exists", &[Takes::Any], ANY, items::exists),
    function("ge", TWO, None, order::ge),
    function("gt", TWO, None, order::gt),
    function("html", &[], ANY, escape::html),
    function("index", ONE, VALUES, items::index),
    function("js", &[], ANY, escape::js),
    function("le", TWO, None, order::le),
    function("len", ONE, None, items::len),
    function("lt", TWO, None, order::lt),
    function("ne", TWO, None, order::ne),
    function(
        "not",
        ONE,
        None,
        |values| Ok((!truth(&last(values))).into()),
    ),
    function("print", &[], ANY, |values| text(print::sprint(values))),
    function("printf", &[Takes::Text], ANY, printf),
    function("println", &[], ANY, |values| text(print::sprintln(values))),
    function("slice", ONE, VALUES, items::slice),
    function("urlquery", &[], ANY, escape::urlquery),
];

/// The function of this name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// Whether there is a function of this name.
pub(super) fn is_known(name: &str) -> bool {
    find(name).is_some()
}

fn last<'a>(values: &[Value<'a>]) -> Value<'a> {
    values.last().cloned().unwrap_or(Value::none())
}

fn text<'a>(text: Vec<u8>) -> Called<'a> {
    if text.len() > MOST_BYTES {
        return Err(format!("text of {} bytes is too long", text.len()));
    }
    Ok(text.into())
}

fn printf<'a>(values: &[Value<'a>]) -> Called<'a> {
    match values.split_first() {
        Some((format, rest)) => match &format.data {
            Data::Text(format) => text(print::sprintf(format, rest)),
            _ => Err("format is no string".to_owned()),
        },
        None => Err("format is missing".to_owned()),
    }
}

/// No value here can be called.
pub(super) fn call<'a>(callee: &str, values: &[Value<'a>]) -> Called<'a> {
    match values.first().filter(|value| !value.is_nil()) {
        None => Err("call of nil".to_owned()),
        Some(value) => {
            let kind = value.data.type_name();
            Err(format!("non-function {callee} of type {kind}"))
        }
    }
}

/// A value as Go names it where it has no text.
pub(super) fn described(value: &Value) -> String {
    match &value.data {
        Data::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Data::Nil => "<invalid Value>".to_owned(),
        data => format!("<{} Value>", data.type_name()),
    }
}
