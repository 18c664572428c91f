//! Pipelines: declarations, commands, operands and terms.

use super::{Parsed, Parser};
use crate::printer::go::number::Number;
use crate::printer::go::quote;
use crate::printer::template::functions;
use crate::printer::template::lex::{Keyword, Kind, Token};
use crate::printer::template::node::{Command, Pipe, What, Word};

/// How deep parentheses may be nested.
const MOST_PARENS: usize = 10_000;

impl Parser<'_> {
    pub(super) fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let mut pipe = Pipe {
            at: self.peek_word().at,
            assigns: false,
            names: Vec::new(),
            commands: Vec::new(),
        };
        self.declarations(context, &mut pipe)?;
        loop {
            let token = self.next_word();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Field
                | Kind::Identifier
                | Kind::Keyword(Keyword::Dot | Keyword::Nil)
                | Kind::LeftParen
                | Kind::Number
                | Kind::RawString
                | Kind::String
                | Kind::Variable => {
                    self.back(token);
                    pipe.commands.push(self.command()?);
                }
                _ => return self.unexpected(&token, context),
            }
        }
        if pipe.commands.is_empty() {
            return self.fail(format!("missing value for {context}"));
        }
        for (at, command) in pipe.commands.iter().enumerate().skip(1) {
            let first = command.words.first().map(|word| &word.what);
            if first.is_some_and(is_literal) {
                let stage = at + 1;
                return self.fail(format!("non executable command in pipeline stage {stage}"));
            }
        }
        Ok(pipe)
    }

    fn declarations(&mut self, context: &str, pipe: &mut Pipe) -> Parsed<()> {
        loop {
            let variable = self.peek_word();
            if variable.kind != Kind::Variable {
                return Ok(());
            }
            self.next();
            let behind = self.next();
            let next = if behind.kind == Kind::Space {
                self.next_word()
            } else {
                behind.clone()
            };
            match next.kind {
                Kind::Assign | Kind::Declare => {
                    pipe.assigns = next.kind == Kind::Assign;
                    pipe.names.push(variable.text.clone());
                    self.own.variables.push(variable.text);
                    return Ok(());
                }
                Kind::Char if next.text == "," => {
                    pipe.names.push(variable.text.clone());
                    self.own.variables.push(variable.text);
                    if context != "range" || pipe.names.len() > 1 {
                        return self.fail(format!("too many declarations in {context}"));
                    }
                    let kind = self.peek_word().kind;
                    if !matches!(
                        kind,
                        Kind::Variable | Kind::RightDelimiter | Kind::RightParen
                    ) {
                        return self.fail("range can only initialize variables");
                    }
                }
                _ => {
                    if behind.kind == Kind::Space {
                        self.back(next);
                    }
                    self.back(behind);
                    self.back(variable);
                    return Ok(());
                }
            }
        }
    }

    fn command(&mut self) -> Parsed<Command> {
        let mut command = Command {
            at: self.peek_word().at,
            words: Vec::new(),
        };
        loop {
            self.peek_word();
            command.words.extend(self.operand()?);
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelimiter | Kind::RightParen => self.back(token),
                Kind::Pipe => {}
                _ => return self.unexpected(&token, "operand"),
            }
            break;
        }
        if command.words.is_empty() {
            return self.fail("empty command");
        }
        Ok(command)
    }

    /// A term and the fields behind it.
    fn operand(&mut self) -> Parsed<Option<Word>> {
        let Some(word) = self.term()? else {
            return Ok(None);
        };
        let mut fields = Vec::new();
        let mut first = 0;
        loop {
            let token = self.next();
            if token.kind != Kind::Field {
                self.back(token);
                break;
            }
            if fields.is_empty() {
                first = token.at;
            }
            fields.push(token.text[1..].to_owned());
        }
        if fields.is_empty() {
            return Ok(Some(word));
        }
        // The place is that of the first field behind the term, whatever the term is.
        let what = match word.what {
            What::Field(mut names) => {
                names.append(&mut fields);
                What::Field(names)
            }
            What::Variable {
                name,
                fields: mut names,
            } => {
                names.append(&mut fields);
                What::Variable {
                    name,
                    fields: names,
                }
            }
            ref what if is_literal(what) => {
                let shown = quote::quote(word.to_string().as_bytes(), false);
                return self.fail(format!("unexpected . after term {shown}"));
            }
            _ => What::Chain(Box::new(word), fields),
        };
        Ok(Some(Word { at: first, what }))
    }

    fn term(&mut self) -> Parsed<Option<Word>> {
        let token = self.next_word();
        let what = match token.kind {
            Kind::Identifier if !functions::is_known(&token.text) => {
                let name = quote::quote(token.text.as_bytes(), false);
                return self.fail(format!("function {name} not defined"));
            }
            Kind::Identifier => What::Function(token.text),
            Kind::Keyword(Keyword::Dot) => What::Dot,
            Kind::Keyword(Keyword::Nil) => What::Nil,
            Kind::Variable => {
                if !self.own.variables.contains(&token.text) {
                    let name = quote::quote(token.text.as_bytes(), false);
                    return self.fail(format!("undefined variable {name}"));
                }
                What::Variable {
                    name: token.text,
                    fields: Vec::new(),
                }
            }
            Kind::Field => What::Field(vec![token.text[1..].to_owned()]),
            Kind::Bool => What::Bool(token.text == "true"),
            Kind::CharConstant | Kind::Complex | Kind::Number => match number(&token) {
                Ok(number) => What::Number(number),
                Err(problem) => return self.fail(problem),
            },
            Kind::LeftParen => {
                if self.own.parens >= MOST_PARENS {
                    return self.fail("max expression depth exceeded");
                }
                self.own.parens += 1;
                let pipe = self
                    .deeper(|parser| parser.pipeline("parenthesized pipeline", Kind::RightParen))?;
                self.own.parens -= 1;
                return Ok(Some(Word {
                    at: pipe.at,
                    what: What::Pipe(Box::new(pipe)),
                }));
            }
            Kind::String | Kind::RawString => match quote::unquote(&token.text) {
                Some(text) => What::Text {
                    quoted: token.text,
                    text,
                },
                None => return self.fail("invalid syntax"),
            },
            _ => {
                self.back(token);
                return Ok(None);
            }
        };
        Ok(Some(Word { at: token.at, what }))
    }
}

/// Whether a word stands for itself: such words have no fields and can't take a result.
fn is_literal(what: &What) -> bool {
    matches!(
        what,
        What::Bool(_) | What::Dot | What::Nil | What::Number(_) | What::Text { .. }
    )
}

fn number(token: &Token) -> Result<Number, String> {
    match token.kind {
        Kind::CharConstant => Number::character(&token.text),
        Kind::Complex => Number::complex(&token.text),
        _ => Number::parse(&token.text),
    }
}
