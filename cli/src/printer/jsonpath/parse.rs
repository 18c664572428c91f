//! Template text to nodes.

use crate::printer::go::{float, quote};

/// A step, or what stands for a value itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    List(Vec<Node>),
    Field(String),
    Wildcard,
    Recursive,
    Array(Slice),
    Union(Vec<Vec<Node>>),
    Filter(Box<Filter>),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// `range`, `end`, or a word that means nothing.
    Identifier(String),
}

/// `[from:to:by]`; an index is a slice of one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Slice {
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
    /// Whether the end only follows from the start.
    pub(super) is_index: bool,
    pub(super) by: Option<i64>,
}

/// `[?(left operator right)]`; without an operator, whether there is a left.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Filter {
    pub(super) left: Vec<Node>,
    pub(super) operator: Option<String>,
    pub(super) right: Vec<Node>,
}

/// Parses a template.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, String> {
    let mut parser = Parser { text, at: 0 };
    let mut nodes = Vec::new();
    while !parser.rest().is_empty() {
        let rest = parser.rest();
        let length = rest.find('{').unwrap_or(rest.len());
        if length > 0 {
            nodes.push(Node::Text(rest[..length].to_owned()));
            parser.at += length;
        } else {
            parser.at += 1;
            nodes.push(Node::List(parser.action()?));
        }
    }
    Ok(nodes)
}

/// Parses what could stand in braces.
fn parse_action(text: &str) -> Result<Vec<Node>, String> {
    match parse(&format!("{{{text}}}"))?.into_iter().next() {
        Some(Node::List(nodes)) => Ok(nodes),
        _ => Ok(Vec::new()),
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// What is in braces, up to the closing one.
    fn action(&mut self) -> Result<Vec<Node>, String> {
        let mut nodes = Vec::new();
        loop {
            if self.rest().starts_with("[?(") {
                self.at += 3;
                nodes.push(self.filter()?);
                continue;
            }
            if self.rest().starts_with("..") {
                if nodes.last() == Some(&Node::Recursive) {
                    return Err("invalid multiple recursive descent".to_owned());
                }
                self.at += 2;
                nodes.push(Node::Recursive);
                if self.peek().is_some_and(is_alphanumeric) {
                    nodes.push(self.field());
                }
                continue;
            }
            match self.next() {
                Some('}') => return Ok(nodes),
                None | Some('\r' | '\n') => return Err("unclosed action".to_owned()),
                // The current object needs no step.
                Some(' ' | '@' | '$') => {}
                Some('[') => self.array(&mut nodes)?,
                Some(quote @ ('"' | '\'')) => nodes.push(self.quoted(quote)?),
                Some('.') => nodes.push(self.field()),
                Some(c) if matches!(c, '+' | '-') || is_digit(c) => {
                    self.at -= c.len_utf8();
                    nodes.push(self.number()?);
                }
                Some(c) if is_alphanumeric(c) => {
                    self.at -= c.len_utf8();
                    nodes.push(self.word());
                }
                Some(c) => {
                    let shown = quote::unicode(c);
                    return Err(format!("unrecognized character in action: {shown}"));
                }
            }
        }
    }

    fn word(&mut self) -> Node {
        let rest = self.rest();
        let length = rest.find(is_terminator).unwrap_or(rest.len());
        self.at += length;
        match &rest[..length] {
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            other => Node::Identifier(other.to_owned()),
        }
    }

    /// A name up to where it ends; a backslash makes what follows it part of the name.
    fn field(&mut self) -> Node {
        let start = self.at;
        while let Some(c) = self.peek() {
            if c != '\\' && is_terminator(c) {
                break;
            }
            self.next();
            if c == '\\' {
                self.next();
            }
        }
        match &self.text[start..self.at] {
            "*" => Node::Wildcard,
            name => Node::Field(name.replace('\\', "")),
        }
    }

    fn number(&mut self) -> Result<Node, String> {
        let rest = self.rest();
        let sign = usize::from(rest.starts_with(['+', '-']));
        let digits = &rest[sign..];
        let length = digits
            .find(|c| c != '.' && !is_digit(c))
            .unwrap_or(digits.len());
        let text = &rest[..sign + length];
        self.at += text.len();
        if let Ok(int) = text.parse() {
            return Ok(Node::Int(int));
        }
        let number = float::parse(text).map(Node::Float);
        number.ok_or_else(|| format!("cannot parse number {text}"))
    }

    fn quoted(&mut self, quote: char) -> Result<Node, String> {
        let start = self.at;
        loop {
            let before = self.text[..self.at].chars().next_back();
            match self.next() {
                None | Some('\n') => return Err("unterminated quoted string".to_owned()),
                Some(c) if c == quote && before != Some('\\') => break,
                Some(_) => {}
            }
        }
        let inner = &self.text[start..self.at - 1];
        if !inner.contains(['\\', quote]) {
            return Ok(Node::Text(inner.to_owned()));
        }
        match quote::unescape(inner, quote) {
            Some(text) => Ok(Node::Text(String::from_utf8_lossy(&text).into_owned())),
            None => {
                let whole = &self.text[start - 1..self.at];
                Err(format!("unquote string {whole} error invalid syntax"))
            }
        }
    }

    /// After `[`: an index, a slice, a union or a quoted field.
    fn array(&mut self, nodes: &mut Vec<Node>) -> Result<(), String> {
        let rest = self.rest();
        let end = rest
            .find([']', '\n'])
            .filter(|at| rest[*at..].starts_with(']'));
        let Some(end) = end else {
            return Err("unterminated array".to_owned());
        };
        self.at += end + 1;
        let text = match &rest[..end] {
            "*" => ":",
            text => text,
        };
        if text.contains(',') {
            let parts = text.split(',').map(|part| part.trim_matches(' '));
            let union: Result<_, String> = parts
                .map(|part| parse_action(&format!("[{part}]")))
                .collect();
            nodes.push(Node::Union(union?));
            return Ok(());
        }
        let key = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\''));
        if let Some(key) = key.filter(|key| !key.contains('\'')) {
            // A key in quotes is read like a field, so that a dot in it needs its backslash.
            nodes.extend(parse_action(&format!(".{key}"))?);
            return Ok(());
        }
        nodes.push(Node::Array(slice(text)?));
        Ok(())
    }

    fn filter(&mut self) -> Result<Node, String> {
        let start = self.at;
        let mut quote = None;
        let mut closed = false;
        loop {
            let before = self.text[..self.at].chars().next_back();
            match self.next() {
                None | Some('\n') => return Err("unterminated filter".to_owned()),
                Some(c @ ('"' | '\'')) if quote.is_none() => quote = Some(c),
                Some(c @ ('"' | '\'')) if quote == Some(c) && before != Some('\\') => closed = true,
                Some(')') if quote.is_some() == closed => break,
                Some(_) => {}
            }
        }
        let text = &self.text[start..self.at - 1];
        if self.next() != Some(']') {
            return Err("unclosed array expect ]".to_owned());
        }
        let filter = match comparison(text) {
            Some((left, operator, right)) => Filter {
                left: parse_action(left)?,
                operator: Some(operator.to_owned()),
                right: parse_action(right)?,
            },
            None => Filter {
                left: parse_action(text)?,
                operator: None,
                right: Vec::new(),
            },
        };
        Ok(Node::Filter(Box::new(filter)))
    }
}

/// The three parts of a comparison, none of which is empty.
fn comparison(text: &str) -> Option<(&str, &str, &str)> {
    let is_operator = |c: char| "!<>=".contains(c);
    let start = text.find(is_operator).filter(|at| *at > 0)?;
    let (left, rest) = text.split_at(start);
    let mut length = rest.find(|c| !is_operator(c)).unwrap_or(rest.len());
    if length == rest.len() {
        // The last sign of an operator at the end is what it compares with.
        length -= 1;
    }
    let (operator, right) = rest.split_at(length);
    (!operator.is_empty()).then_some((left, operator, right))
}

fn slice(text: &str) -> Result<Slice, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_number = |part: &&str| {
        let digits = part.strip_prefix('-').unwrap_or(part);
        digits.bytes().all(|b| b.is_ascii_digit())
    };
    if parts.len() > 3 || !parts.iter().all(is_number) {
        return Err(format!("invalid array index {text}"));
    }
    let number = |at: usize| match parts.get(at) {
        None | Some(&"") => Ok(None),
        Some(part) => match part.parse::<i64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(format!("array index {part} is not a number")),
        },
    };
    let (from, to, by) = (number(0)?, number(1)?, number(2)?);
    Ok(Slice {
        from,
        to: match parts.len() {
            1 => Some(from.unwrap_or(0).wrapping_add(1)),
            _ => to,
        },
        is_index: parts.len() == 1,
        by,
    })
}

fn is_terminator(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}'
    )
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || !c.is_ascii() && c.is_numeric()
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphabetic() || is_digit(c)
}
