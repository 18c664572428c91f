//! Template text to tree.

use serde_json::Value;

use super::{Node, Pipe, Term, functions};

/// Parses a whole template.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, String> {
    let tokens = split(text)?;
    let mut parser = Parser {
        tokens,
        at: 0,
        line: 1,
    };
    let (nodes, end) = parser.block()?;
    match end {
        None => Ok(nodes),
        Some(word) => Err(format!(
            "template: output:{}: unexpected {{{{{word}}}}}",
            parser.line
        )),
    }
}

/// Text, or the inside of `{{ }}` with its line.
enum Token {
    Text(String),
    Action(String, usize),
}

fn split(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut line = 1;
    let mut trim_next = false;
    loop {
        let Some(start) = rest.find("{{") else {
            push_text(&mut tokens, rest, trim_next, false);
            return Ok(tokens);
        };
        let after = &rest[start + 2..];
        let trim_before =
            after.starts_with("- ") || after.starts_with("-\n") || after.starts_with("-\t");
        push_text(&mut tokens, &rest[..start], trim_next, trim_before);
        line += rest[..start].matches('\n').count();
        let body = if trim_before { &after[1..] } else { after };
        let end =
            action_end(body).ok_or_else(|| format!("template: output:{line}: unclosed action"))?;
        let inner = &body[..end];
        trim_next = inner.ends_with('-')
            && inner.len() > 1
            && inner[..inner.len() - 1].ends_with(char::is_whitespace);
        let inner = if trim_next {
            &inner[..inner.len() - 1]
        } else {
            inner
        };
        let trimmed = inner.trim();
        if !(trimmed.starts_with("/*") && trimmed.ends_with("*/")) {
            tokens.push(Token::Action(trimmed.to_owned(), line));
        }
        line += inner.matches('\n').count();
        rest = &body[end + 2..];
    }
}

fn push_text(tokens: &mut Vec<Token>, text: &str, trim_start: bool, trim_end: bool) {
    let text = if trim_start { text.trim_start() } else { text };
    let text = if trim_end { text.trim_end() } else { text };
    if !text.is_empty() {
        tokens.push(Token::Text(text.to_owned()));
    }
}

/// Where `}}` is, outside of strings and comments.
fn action_end(body: &str) -> Option<usize> {
    if body.trim_start().starts_with("/*") {
        let close = body.find("*/")?;
        return body[close..].find("}}").map(|at| close + at);
    }
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '`') => quote = Some(c),
            None if body[at..].starts_with("}}") => return Some(at),
            None => {}
        }
    }
    None
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    line: usize,
}

impl Parser {
    /// Nodes up to the end, or up to `end` or `else`, which is given back.
    fn block(&mut self) -> Result<(Vec<Node>, Option<String>), String> {
        let mut nodes = Vec::new();
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            let (body, line) = match token {
                Token::Text(text) => {
                    nodes.push(Node::Text(text.clone()));
                    continue;
                }
                Token::Action(body, line) => (body.clone(), *line),
            };
            self.line = line;
            let (word, rest) = body.split_once(char::is_whitespace).unwrap_or((&body, ""));
            match word {
                "end" => return Ok((nodes, Some("end".into()))),
                "else" => {
                    return Ok((
                        nodes,
                        Some(format!("else {}", rest.trim()).trim().to_owned()),
                    ));
                }
                "break" => nodes.push(Node::Break),
                "continue" => nodes.push(Node::Continue),
                "if" | "range" | "with" => nodes.push(self.control(word, rest)?),
                _ => nodes.push(Node::Action(self.pipe(&body)?)),
            }
        }
        Ok((nodes, None))
    }

    fn control(&mut self, word: &str, rest: &str) -> Result<Node, String> {
        let pipe = self.pipe(rest)?;
        let (then, end) = self.block()?;
        let otherwise = match end.as_deref() {
            Some("end") => Vec::new(),
            Some("else") => match self.block()? {
                (otherwise, Some(end)) if end == "end" => otherwise,
                _ => return Err(self.unexpected_end()),
            },
            Some(chained) => {
                // `else if x` is an `if` of its own inside, which takes the end with it.
                let (_, chained) = chained.split_once(' ').unwrap_or_default();
                let (word, rest) = chained.split_once(' ').unwrap_or((chained, ""));
                vec![self.control(word, rest)?]
            }
            None => return Err(self.unexpected_end()),
        };
        Ok(match word {
            "if" => Node::If(pipe, then, otherwise),
            "range" => Node::Range(pipe, then, otherwise),
            _ => Node::With(pipe, then, otherwise),
        })
    }

    fn unexpected_end(&self) -> String {
        format!("template: output:{}: unexpected EOF", self.line)
    }

    fn pipe(&self, text: &str) -> Result<Pipe, String> {
        let mut words = Words {
            text: text.chars().collect(),
            at: 0,
            line: self.line,
        };
        let pipe = words.pipe()?;
        if words.at < words.text.len() {
            return Err(words.fail("unexpected right paren"));
        }
        Ok(pipe)
    }
}

/// The inside of an action.
struct Words {
    text: Vec<char>,
    at: usize,
    line: usize,
}

impl Words {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn spaces(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn fail(&self, message: &str) -> String {
        format!("template: output:{}: {message}", self.line)
    }

    fn pipe(&mut self) -> Result<Pipe, String> {
        let mut pipe = Pipe::default();
        self.declaration(&mut pipe);
        loop {
            let mut command = Vec::new();
            loop {
                self.spaces();
                match self.peek() {
                    None | Some(')' | '|') => break,
                    Some(_) => command.push(self.term()?),
                }
            }
            if command.is_empty() {
                return Err(self.fail("missing value for command"));
            }
            pipe.commands.push(command);
            if self.peek() != Some('|') {
                return Ok(pipe);
            }
            self.at += 1;
        }
    }

    /// `$a, $b :=` or `$a =`.
    fn declaration(&mut self, pipe: &mut Pipe) {
        let start = self.at;
        let mut names = Vec::new();
        loop {
            self.spaces();
            if self.peek() != Some('$') {
                break;
            }
            self.at += 1;
            names.push(self.identifier());
            self.spaces();
            match (self.peek(), self.text.get(self.at + 1)) {
                (Some(','), _) => self.at += 1,
                (Some(':'), Some('=')) => {
                    self.at += 2;
                    (pipe.variables, pipe.declares) = (names, true);
                    return;
                }
                (Some('='), _) => {
                    self.at += 1;
                    pipe.variables = names;
                    return;
                }
                _ => break,
            }
        }
        self.at = start;
    }

    fn identifier(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_alphanumeric() || *c == '_') {
            name.push(c);
            self.at += 1;
        }
        name
    }

    fn fields(&mut self) -> Vec<String> {
        let mut fields = Vec::new();
        while self.peek() == Some('.') {
            self.at += 1;
            let name = self.identifier();
            if !name.is_empty() {
                fields.push(name);
            }
        }
        fields
    }

    fn term(&mut self) -> Result<Term, String> {
        match self.peek() {
            Some('.') => Ok(Term::Dot(self.fields())),
            Some('$') => {
                self.at += 1;
                let name = self.identifier();
                Ok(Term::Variable(name, self.fields()))
            }
            Some('(') => {
                self.at += 1;
                let pipe = self.pipe()?;
                if self.peek() != Some(')') {
                    return Err(self.fail("unclosed left paren"));
                }
                self.at += 1;
                Ok(Term::Nested(pipe, self.fields()))
            }
            Some('"') => self.quoted().map(|s| Term::Literal(s.into())),
            Some('`') => {
                self.at += 1;
                let end = self.text[self.at..]
                    .iter()
                    .position(|c| *c == '`')
                    .ok_or_else(|| self.fail("unterminated raw quoted string"))?;
                let text: String = self.text[self.at..self.at + end].iter().collect();
                self.at += end + 1;
                Ok(Term::Literal(text.into()))
            }
            Some(c) if c.is_ascii_digit() || matches!(c, '-' | '+') => self.number(),
            Some(c) if c.is_alphabetic() || c == '_' => {
                let name = self.identifier();
                match name.as_str() {
                    "true" => Ok(Term::Literal(true.into())),
                    "false" => Ok(Term::Literal(false.into())),
                    "nil" => Ok(Term::Literal(Value::Null)),
                    _ if functions::NAMES.contains(&name.as_str()) => Ok(Term::Function(name)),
                    _ => Err(self.fail(&format!("function {name:?} not defined"))),
                }
            }
            Some(c) => Err(self.fail(&format!("unexpected {c:?} in operand"))),
            None => Err(self.fail("unexpected EOF")),
        }
    }

    fn quoted(&mut self) -> Result<String, String> {
        let start = self.at;
        self.at += 1;
        while let Some(c) = self.peek() {
            self.at += if c == '\\' { 2 } else { 1 };
            if c == '"' {
                let literal: String = self.text[start..self.at].iter().collect();
                return serde_json::from_str(&literal).map_err(|_| self.fail("bad quoted string"));
            }
        }
        Err(self.fail("unterminated quoted string"))
    }

    fn number(&mut self) -> Result<Term, String> {
        let start = self.at;
        while self
            .peek()
            .is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'))
        {
            self.at += 1;
        }
        let text: String = self.text[start..self.at].iter().collect();
        serde_json::from_str(text.trim_start_matches('+'))
            .map(Term::Literal)
            .map_err(|_| self.fail(&format!("bad number syntax: {text:?}")))
    }
}
