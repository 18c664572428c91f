//! kubectl's dialect of JSONPath: `{range .items[*]}{.metadata.name}{"\n"}{end}`, filters, unions,
//! slices, `..`, escaped dots.
//!
//! Missing keys give nothing when they are allowed and an error otherwise.

use serde_json::Value;

use super::json;

/// A template: text with expressions in braces.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    nodes: Vec<Node>,
    allow_missing: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    Path(Vec<Step>),
    Range(Vec<Step>, Vec<Node>),
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Root,
    Field(String),
    Wildcard,
    Slice(Option<i64>, Option<i64>, Option<i64>),
    Index(i64),
    Recursive,
    Union(Vec<Vec<Step>>),
    Filter(Box<Operand>, String, Box<Operand>),
    Literal(Value),
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Path(Vec<Step>),
    Literal(Value),
}

/// `.metadata.name`, `metadata.name` and `{.metadata.name}` as the last of them: the form that
/// --sort-by and custom columns take.
pub(crate) fn relaxed(expression: &str) -> Result<String, String> {
    if expression.is_empty() {
        return Ok(String::new());
    }
    let inner = match expression.strip_prefix('{') {
        Some(rest) => rest
            .strip_suffix('}')
            .ok_or_else(|| bad_relaxed(expression))?,
        None if expression.contains(['{', '}']) => return Err(bad_relaxed(expression)),
        None => expression,
    };
    let inner = inner.strip_prefix('.').unwrap_or(inner);
    Ok(format!("{{.{inner}}}"))
}

fn bad_relaxed(expression: &str) -> String {
    format!("unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{{name1.name2}}' or '{{.name1.name2}}', got {expression:?}").replace("got \"", "got '")
}

impl Template {
    /// Parses a template.
    pub(crate) fn parse(text: &str, allow_missing: bool) -> Result<Self, String> {
        let mut parser = Parser {
            text: text.chars().collect(),
            at: 0,
        };
        let nodes = parser.nodes(false)?;
        Ok(Self {
            nodes,
            allow_missing,
        })
    }

    /// Runs the template and gives its text.
    pub(crate) fn text(&self, value: &Value) -> Result<String, String> {
        let mut out = String::new();
        run(&self.nodes, value, value, self.allow_missing, &mut out)?;
        Ok(out)
    }

    /// The values that the template's first expression finds.
    pub(crate) fn values<'a>(
        &self,
        value: &'a Value,
    ) -> Result<Vec<std::borrow::Cow<'a, Value>>, String> {
        let mut found = Vec::new();
        for node in &self.nodes {
            if let Node::Path(steps) = node {
                found.extend(
                    walk(steps, value, value, self.allow_missing)?
                        .into_iter()
                        .map(Found::into_cow),
                );
            }
        }
        Ok(found)
    }
}

/// A value found, or one that the template holds itself.
#[derive(Clone)]
enum Found<'a> {
    There(&'a Value),
    Made(Value),
}

impl<'a> Found<'a> {
    fn get(&self) -> &Value {
        match self {
            Self::There(value) => value,
            Self::Made(value) => value,
        }
    }

    fn into_cow(self) -> std::borrow::Cow<'a, Value> {
        match self {
            Self::There(value) => std::borrow::Cow::Borrowed(value),
            Self::Made(value) => std::borrow::Cow::Owned(value),
        }
    }
}

fn run(
    nodes: &[Node],
    current: &Value,
    root: &Value,
    allow: bool,
    out: &mut String,
) -> Result<(), String> {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Path(steps) => {
                let found = walk(steps, current, root, allow)?;
                let texts: Vec<String> = found.iter().map(|f| show(f.get())).collect();
                out.push_str(&texts.join(" "));
            }
            Node::Range(steps, body) => {
                for found in walk(steps, current, root, allow)? {
                    run(body, found.get(), root, allow, out)?;
                }
            }
        }
    }
    Ok(())
}

/// A value as text: strings as they are, lists and maps as JSON.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => json::compact(other),
    }
}

fn walk<'a>(
    steps: &[Step],
    start: &'a Value,
    root: &'a Value,
    allow: bool,
) -> Result<Vec<Found<'a>>, String> {
    let mut found = vec![Found::There(start)];
    for step in steps {
        let mut next = Vec::new();
        for from in found {
            match from {
                Found::There(value) => apply(step, value, root, allow, &mut next)?,
                made => next.push(made),
            }
        }
        found = next;
    }
    Ok(found)
}

fn apply<'a>(
    step: &Step,
    value: &'a Value,
    root: &'a Value,
    allow: bool,
    out: &mut Vec<Found<'a>>,
) -> Result<(), String> {
    match step {
        Step::Root => out.push(Found::There(root)),
        Step::Literal(literal) => out.push(Found::Made(literal.clone())),
        Step::Field(name) => match value.get(name.as_str()) {
            Some(inner) => out.push(Found::There(inner)),
            None if value.is_null() || allow => {}
            None => return Err(format!("{name} is not found")),
        },
        Step::Wildcard => children(value, out),
        Step::Recursive => descend(value, out),
        Step::Index(index) => element(value, *index, allow, out)?,
        Step::Slice(from, to, by) => slice(value, (*from, *to, *by), out)?,
        Step::Union(paths) => {
            for path in paths {
                out.extend(walk(path, value, root, allow)?);
            }
        }
        Step::Filter(left, operator, right) => {
            let list: Vec<&Value> = match value {
                Value::Array(list) => list.iter().collect(),
                Value::Object(map) => map.values().collect(),
                Value::Null => Vec::new(),
                other => {
                    return Err(format!(
                        "{} is not array or slice and cannot be filtered",
                        json::compact(other)
                    ));
                }
            };
            for item in list {
                if passes(left, operator, right, item, root)? {
                    out.push(Found::There(item));
                }
            }
        }
    }
    Ok(())
}

fn children<'a>(value: &'a Value, out: &mut Vec<Found<'a>>) {
    match value {
        Value::Array(list) => out.extend(list.iter().map(Found::There)),
        Value::Object(map) => out.extend(map.values().map(Found::There)),
        _ => {}
    }
}

fn descend<'a>(value: &'a Value, out: &mut Vec<Found<'a>>) {
    if value.is_object() || value.is_array() {
        out.push(Found::There(value));
    }
    let mut inner = Vec::new();
    children(value, &mut inner);
    for child in inner {
        if let Found::There(child) = child {
            descend(child, out);
        }
    }
}

fn element<'a>(
    value: &'a Value,
    index: i64,
    allow: bool,
    out: &mut Vec<Found<'a>>,
) -> Result<(), String> {
    let Value::Array(list) = value else {
        return if value.is_null() {
            Ok(())
        } else {
            Err(format!("{} is not array or slice", json::compact(value)))
        };
    };
    let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let at = if index < 0 { index + length } else { index };
    match usize::try_from(at).ok().and_then(|at| list.get(at)) {
        Some(item) => out.push(Found::There(item)),
        None if allow && list.is_empty() => {}
        None => {
            return Err(format!(
                "array index out of bounds: index {at}, length {length}"
            ));
        }
    }
    Ok(())
}

fn slice<'a>(
    value: &'a Value,
    (from, to, by): (Option<i64>, Option<i64>, Option<i64>),
    out: &mut Vec<Found<'a>>,
) -> Result<(), String> {
    let Value::Array(list) = value else {
        return if value.is_null() {
            Ok(())
        } else {
            Err(format!("{} is not array or slice", json::compact(value)))
        };
    };
    let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let place = |at: i64| {
        if at < 0 {
            (at + length).max(0)
        } else {
            at.min(length)
        }
    };
    let (from, to) = (place(from.unwrap_or(0)), place(to.unwrap_or(length)));
    let by = by.unwrap_or(1);
    if by < 1 {
        return Err("step must be > 0".into());
    }
    let mut at = from;
    while at < to {
        // Between 0 and the list's length.
        let Some(item) = usize::try_from(at).ok().and_then(|at| list.get(at)) else {
            break;
        };
        out.push(Found::There(item));
        at += by;
    }
    Ok(())
}

fn passes(
    left: &Operand,
    operator: &str,
    right: &Operand,
    item: &Value,
    root: &Value,
) -> Result<bool, String> {
    let side = |operand: &Operand| -> Result<Vec<Value>, String> {
        match operand {
            Operand::Literal(value) => Ok(vec![value.clone()]),
            Operand::Path(steps) => Ok(walk(steps, item, root, true)?
                .into_iter()
                .map(|f| f.into_cow().into_owned())
                .collect()),
        }
    };
    let left = side(left)?;
    if operator == "exists" {
        return Ok(!left.is_empty());
    }
    let right = side(right)?;
    let ([left], [right]) = (left.as_slice(), right.as_slice()) else {
        return if left.len() > 1 {
            Err("can only compare one element at a time".into())
        } else {
            Ok(false)
        };
    };
    let order = match (left, right) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ if operator == "==" => return Ok(false),
        _ if operator == "!=" => return Ok(true),
        _ => return Err("incompatible types for comparison".into()),
    };
    let Some(order) = order else { return Ok(false) };
    Ok(match operator {
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    })
}

struct Parser {
    text: Vec<char>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn eat(&mut self, wanted: &str) -> bool {
        let fits = wanted
            .chars()
            .enumerate()
            .all(|(i, c)| self.text.get(self.at + i) == Some(&c));
        if fits {
            self.at += wanted.chars().count();
        }
        fits
    }

    fn spaces(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Text and expressions, up to the end or up to `{end}`.
    fn nodes(&mut self, inside: bool) -> Result<Vec<Node>, String> {
        let mut nodes = Vec::new();
        let mut text = String::new();
        while let Some(c) = self.next() {
            if c != '{' {
                text.push(c);
                continue;
            }
            if !text.is_empty() {
                nodes.push(Node::Text(std::mem::take(&mut text)));
            }
            self.spaces();
            if self.eat("end") {
                self.close()?;
                if inside {
                    return Ok(nodes);
                }
                return Err("not in range, nothing to end".into());
            }
            if self.eat("range") {
                let steps = self.steps()?;
                self.close()?;
                nodes.push(Node::Range(steps, self.nodes(true)?));
                continue;
            }
            self.expressions(&mut nodes)?;
        }
        if inside {
            return Err("unterminated range".into());
        }
        if !text.is_empty() {
            nodes.push(Node::Text(text));
        }
        Ok(nodes)
    }

    /// The inside of braces: literals and paths one after the other.
    fn expressions(&mut self, nodes: &mut Vec<Node>) -> Result<(), String> {
        loop {
            self.spaces();
            match self.peek() {
                Some('}') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(quote @ ('"' | '\'')) => nodes.push(Node::Text(self.quoted(quote)?)),
                Some(_) => nodes.push(Node::Path(self.steps()?)),
                None => return Err("unclosed action".into()),
            }
        }
    }

    fn close(&mut self) -> Result<(), String> {
        self.spaces();
        if self.next() == Some('}') {
            Ok(())
        } else {
            Err("unclosed action".into())
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        self.at += 1;
        let mut out = String::new();
        while let Some(c) = self.next() {
            match c {
                c if c == quote => return Ok(out),
                '\\' => match self.next() {
                    Some('n') => out.push('\n'),
                    Some('t') => out.push('\t'),
                    Some('r') => out.push('\r'),
                    Some(other) => out.push(other),
                    None => break,
                },
                c => out.push(c),
            }
        }
        Err("unterminated quoted string".into())
    }

    /// One path: `.a.b[0]`, `..a`, `$.x`, `@.x`.
    fn steps(&mut self) -> Result<Vec<Step>, String> {
        self.spaces();
        let mut steps = Vec::new();
        let start = self.at;
        loop {
            match self.peek() {
                Some('$') => {
                    self.at += 1;
                    steps.push(Step::Root);
                }
                Some('@') => self.at += 1,
                Some('.') => {
                    self.at += 1;
                    if self.peek() == Some('.') {
                        self.at += 1;
                        steps.push(Step::Recursive);
                    }
                    self.field(&mut steps);
                }
                Some('[') => {
                    self.at += 1;
                    steps.push(self.bracket()?);
                }
                Some('*') => {
                    self.at += 1;
                    steps.push(Step::Wildcard);
                }
                Some(c) if self.at == start && (c.is_ascii_digit() || c == '-' || c == '+') => {
                    return Ok(vec![Step::Literal(self.number()?)]);
                }
                Some(c) if self.at == start && c.is_alphabetic() => {
                    return self.word();
                }
                Some(c) if self.at == start => {
                    return Err(format!(
                        "unrecognized character in action: U+{:04X} '{c}'",
                        c as u32
                    ));
                }
                _ => return Ok(steps),
            }
        }
    }

    fn word(&mut self) -> Result<Vec<Step>, String> {
        let mut word = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_alphanumeric()) {
            word.push(c);
            self.at += 1;
        }
        match word.as_str() {
            "true" => Ok(vec![Step::Literal(true.into())]),
            "false" => Ok(vec![Step::Literal(false.into())]),
            _ => Err(format!("unrecognized identifier {word}")),
        }
    }

    fn field(&mut self, steps: &mut Vec<Step>) {
        let mut name = String::new();
        while let Some(c) = self.peek() {
            match c {
                '\\' => {
                    self.at += 1;
                    if let Some(escaped) = self.next() {
                        name.push(escaped);
                    }
                }
                c if c.is_whitespace()
                    || matches!(
                        c,
                        '.' | '['
                            | ']'
                            | '}'
                            | ','
                            | ')'
                            | '$'
                            | '@'
                            | '{'
                            | '='
                            | '!'
                            | '<'
                            | '>'
                            | '|'
                    ) =>
                {
                    break;
                }
                c => {
                    name.push(c);
                    self.at += 1;
                }
            }
        }
        match name.as_str() {
            "" => {}
            "*" => steps.push(Step::Wildcard),
            _ => steps.push(Step::Field(name)),
        }
    }

    fn number(&mut self) -> Result<Value, String> {
        let mut digits = String::new();
        while let Some(c) = self
            .peek()
            .filter(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'))
        {
            digits.push(c);
            self.at += 1;
        }
        serde_json::from_str(digits.trim_start_matches('+'))
            .map_err(|_| format!("cannot parse number {digits}"))
    }

    /// After `[`: an index, a slice, a union, a quoted field, a wildcard or a filter.
    fn bracket(&mut self) -> Result<Step, String> {
        self.spaces();
        if self.eat("?(") {
            let filter = self.filter()?;
            self.spaces();
            return if self.eat(")") && {
                self.spaces();
                self.eat("]")
            } {
                Ok(filter)
            } else {
                Err("unterminated filter".into())
            };
        }
        let mut parts = Vec::new();
        loop {
            self.spaces();
            parts.push(self.bracket_part()?);
            self.spaces();
            match self.next() {
                Some(',') => {}
                Some(']') => break,
                _ => return Err("unterminated array".into()),
            }
        }
        if parts.len() == 1 {
            // There is exactly one part, and parts have one step or are whole paths.
            let mut only = parts.remove(0);
            return Ok(if only.len() == 1 {
                only.remove(0)
            } else {
                Step::Union(vec![only])
            });
        }
        Ok(Step::Union(parts))
    }

    fn bracket_part(&mut self) -> Result<Vec<Step>, String> {
        match self.peek() {
            Some('*') => {
                self.at += 1;
                Ok(vec![Step::Wildcard])
            }
            Some(quote @ ('"' | '\'')) => Ok(vec![Step::Field(self.quoted(quote)?)]),
            Some(c) if c.is_ascii_digit() || c == '-' || c == ':' => self.range_of_indices(),
            Some('.' | '@' | '$') => self.steps(),
            Some(_) => {
                let mut steps = Vec::new();
                self.field(&mut steps);
                if steps.is_empty() {
                    Err("invalid array index".into())
                } else {
                    Ok(steps)
                }
            }
            None => Err("unterminated array".into()),
        }
    }

    fn range_of_indices(&mut self) -> Result<Vec<Step>, String> {
        let mut parts: Vec<Option<i64>> = vec![None];
        let mut digits = String::new();
        loop {
            match self.peek() {
                Some(c) if c.is_ascii_digit() || c == '-' => {
                    digits.push(c);
                    self.at += 1;
                }
                other => {
                    if !digits.is_empty() {
                        let index = digits
                            .parse()
                            .map_err(|_| format!("invalid array index {digits}"))?;
                        if let Some(last) = parts.last_mut() {
                            *last = Some(index);
                        }
                        digits.clear();
                    }
                    if other != Some(':') {
                        break;
                    }
                    self.at += 1;
                    parts.push(None);
                }
            }
        }
        match parts.as_slice() {
            [Some(index)] => Ok(vec![Step::Index(*index)]),
            [from, to] => Ok(vec![Step::Slice(*from, *to, None)]),
            [from, to, by] => Ok(vec![Step::Slice(*from, *to, *by)]),
            _ => Err("invalid array index".into()),
        }
    }

    fn filter(&mut self) -> Result<Step, String> {
        let left = self.operand()?;
        self.spaces();
        for operator in ["==", "!=", "<=", ">=", "<", ">"] {
            if self.eat(operator) {
                self.spaces();
                let right = self.operand()?;
                return Ok(Step::Filter(
                    Box::new(left),
                    operator.to_owned(),
                    Box::new(right),
                ));
            }
        }
        Ok(Step::Filter(
            Box::new(left.clone()),
            "exists".to_owned(),
            Box::new(left),
        ))
    }

    fn operand(&mut self) -> Result<Operand, String> {
        self.spaces();
        match self.peek() {
            Some(quote @ ('"' | '\'')) => Ok(Operand::Literal(self.quoted(quote)?.into())),
            Some(_) => match self.steps()?.as_slice() {
                [Step::Literal(value)] => Ok(Operand::Literal(value.clone())),
                steps => Ok(Operand::Path(steps.to_vec())),
            },
            None => Err("unterminated filter".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(template: &str) -> Result<String, String> {
        let value = json!({"kind": "List", "items": [
            {"metadata": {"name": "a", "labels": {"app.kubernetes.io/name": "x"}}, "n": 1, "ok": true},
            {"metadata": {"name": "b"}, "n": 2, "list": [1, 2, 3]}]});
        Template::parse(template, true)?.text(&value)
    }

    #[test]
    fn ranges_repeat_their_body_for_each_value() {
        assert_eq!(
            text("{range .items[*]}{.metadata.name}{\"\\t\"}{.n}{\"\\n\"}{end}").unwrap(),
            "a\t1\nb\t2\n"
        );
    }

    #[test]
    fn filters_compare_and_ask_for_existence() {
        assert_eq!(text("{.items[?(@.n>1)].metadata.name}").unwrap(), "b");
        assert_eq!(text("{.items[?(@.metadata.name==\"a\")].n}").unwrap(), "1");
        assert_eq!(text("{.items[?(@.ok)].metadata.name}").unwrap(), "a");
    }

    #[test]
    fn indices_slices_unions_and_recursion_find_values() {
        assert_eq!(text("{.items[-1].list[0:2]}").unwrap(), "1 2");
        assert_eq!(text("{.items[0]['n','ok']}").unwrap(), "1 true");
        assert_eq!(text("{..name}").unwrap(), "a b");
        assert_eq!(
            text("{.items[*].metadata.labels.app\\.kubernetes\\.io/name}").unwrap(),
            "x"
        );
    }

    #[test]
    fn maps_and_lists_are_printed_as_json() {
        assert_eq!(text("x{.items[1].list}y").unwrap(), "x[1,2,3]y");
    }

    #[test]
    fn an_index_past_the_end_is_an_error() {
        assert_eq!(
            text("{.items[5]}").unwrap_err(),
            "array index out of bounds: index 5, length 2"
        );
    }
}
