//! Template text to tokens.

use crate::printer::go::quote;

/// What a token is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Assign,
    Bool,
    Char,
    CharConstant,
    Complex,
    Declare,
    End,
    Error,
    Field,
    Identifier,
    Keyword(Keyword),
    LeftDelimiter,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelimiter,
    RightParen,
    Space,
    String,
    Text,
    Variable,
}

/// A word that means something of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Keyword {
    Block,
    Break,
    Continue,
    Define,
    Dot,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

/// A token, with its place and line.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: usize,
    pub(super) text: String,
    pub(super) line: usize,
}

impl Token {
    /// The token as messages name it.
    pub(super) fn shown(&self) -> String {
        match self.kind {
            Kind::End => "EOF".to_owned(),
            Kind::Error => self.text.clone(),
            Kind::Keyword(_) => format!("<{}>", self.text),
            _ if self.text.len() > 10 => {
                let start: String = self.text.chars().take(10).collect();
                format!("{}...", quote::quote(start.as_bytes(), false))
            }
            _ => quote::quote(self.text.as_bytes(), false),
        }
    }
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// Cuts a text into tokens, one at a time.
#[derive(Debug)]
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    start: usize,
    start_line: usize,
    parens: usize,
    inside: bool,
}

type Step = Result<Kind, String>;

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            start: 0,
            start_line: 1,
            parens: 0,
            inside: false,
        }
    }

    /// The next token. After an error there is none.
    pub(super) fn token(&mut self) -> Token {
        self.skip();
        let found = if self.inside {
            self.inside()
        } else {
            self.outside()
        };
        match found {
            Ok(kind) => {
                let token = Token {
                    kind,
                    at: self.start,
                    text: self.text[self.start..self.at].to_owned(),
                    line: self.start_line,
                };
                self.skip();
                // What the delimiter trims is behind its token.
                match kind {
                    Kind::LeftDelimiter if has_left_trim(self.rest()) => self.pass(2),
                    Kind::RightDelimiter => self.after_right(&token),
                    _ => {}
                }
                token
            }
            Err(problem) => Token {
                kind: Kind::Error,
                at: self.start,
                text: problem,
                line: self.start_line,
            },
        }
    }

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

    /// Leaves out what was read since the last token.
    fn skip(&mut self) {
        let passed = &self.text[self.start..self.at];
        self.start_line += passed.matches('\n').count();
        self.start = self.at;
    }

    fn pass(&mut self, length: usize) {
        self.at += length;
        self.skip();
    }

    fn run(&mut self, fits: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !fits(c)).unwrap_or(rest.len());
    }

    fn accept(&mut self, set: &str) -> bool {
        let fits = self.peek().is_some_and(|c| set.contains(c));
        if fits {
            self.next();
        }
        fits
    }

    fn after_right(&mut self, token: &Token) {
        self.inside = false;
        if token.text.starts_with(BLANKS) {
            let rest = self.rest();
            self.pass(rest.len() - rest.trim_start_matches(BLANKS).len());
        }
    }

    /// Text and comments.
    fn outside(&mut self) -> Step {
        loop {
            let Some(length) = self.rest().find(LEFT) else {
                self.at = self.text.len();
                return Ok(if self.at > self.start {
                    Kind::Text
                } else {
                    Kind::End
                });
            };
            let delimiter_end = self.at + length + LEFT.len();
            let trims = has_left_trim(&self.text[delimiter_end..]);
            let text = &self.text[self.at..self.at + length];
            let kept = if trims {
                text.trim_end_matches(BLANKS)
            } else {
                text
            };
            if !kept.is_empty() {
                self.at += kept.len();
                return Ok(Kind::Text);
            }
            self.pass(length);
            let inside = LEFT.len() + if trims { 2 } else { 0 };
            if !self.rest()[inside..].starts_with("/*") {
                self.at += LEFT.len();
                self.inside = true;
                self.parens = 0;
                return Ok(Kind::LeftDelimiter);
            }
            self.pass(inside);
            self.comment()?;
        }
    }

    fn comment(&mut self) -> Result<(), String> {
        let Some(end) = self.rest()[2..].find("*/") else {
            return Err("unclosed comment".to_owned());
        };
        let length = end + 4;
        let behind = &self.rest()[length..];
        if behind.starts_with(RIGHT) {
            self.pass(length + RIGHT.len());
        } else if has_right_trim(behind) && behind[2..].starts_with(RIGHT) {
            self.pass(length + 2 + RIGHT.len());
            self.run(|c| BLANKS.contains(&c));
            self.skip();
        } else {
            return Err("comment ends before closing delimiter".to_owned());
        }
        Ok(())
    }

    /// The length of the right delimiter here, with its trim marker.
    fn right_delimiter(&self) -> Option<usize> {
        let rest = self.rest();
        if has_right_trim(rest) && rest[2..].starts_with(RIGHT) {
            return Some(2 + RIGHT.len());
        }
        rest.starts_with(RIGHT).then_some(RIGHT.len())
    }

    fn inside(&mut self) -> Step {
        if let Some(length) = self.right_delimiter() {
            if self.parens > 0 {
                return Err("unclosed left paren".to_owned());
            }
            self.at += length;
            return Ok(Kind::RightDelimiter);
        }
        let Some(c) = self.next() else {
            return Err("unclosed action".to_owned());
        };
        match c {
            ' ' | '\t' | '\r' | '\n' => Ok(self.space()),
            '=' => Ok(Kind::Assign),
            ':' if self.next() != Some('=') => Err("expected :=".to_owned()),
            ':' => Ok(Kind::Declare),
            '|' => Ok(Kind::Pipe),
            '"' => self.quoted('"', "quoted string", Kind::String),
            '\'' => self.quoted('\'', "character constant", Kind::CharConstant),
            '`' => {
                let Some(end) = self.rest().find('`') else {
                    return Err("unterminated raw quoted string".to_owned());
                };
                self.at += end + 1;
                Ok(Kind::RawString)
            }
            '$' => self.field_or_variable(Kind::Variable),
            '.' if self.peek().is_some_and(|c| !c.is_ascii_digit()) => {
                self.field_or_variable(Kind::Field)
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.at -= 1;
                self.number()
            }
            c if is_alphanumeric(c) => self.identifier(),
            '(' => {
                self.parens += 1;
                Ok(Kind::LeftParen)
            }
            ')' if self.parens == 0 => Err("unexpected right paren".to_owned()),
            ')' => {
                self.parens -= 1;
                Ok(Kind::RightParen)
            }
            ' '..='~' => Ok(Kind::Char),
            c => Err(format!(
                "unrecognized character in action: {}",
                quote::unicode(c)
            )),
        }
    }

    /// Blanks; the last may belong to a right delimiter that trims.
    fn space(&mut self) -> Kind {
        self.run(|c| BLANKS.contains(&c));
        let last = &self.text[self.at - 1..];
        if has_right_trim(last) && last[2..].starts_with(RIGHT) {
            // Were it the only one, the delimiter had been seen before.
            self.at -= 1;
        }
        Kind::Space
    }

    fn quoted(&mut self, end: char, what: &str, kind: Kind) -> Step {
        loop {
            match self.next() {
                Some('\\') if self.peek().is_some_and(|c| c != '\n') => {
                    self.next();
                }
                None | Some('\\' | '\n') => return Err(format!("unterminated {what}")),
                Some(c) if c == end => return Ok(kind),
                Some(_) => {}
            }
        }
    }

    fn at_terminator(&self) -> bool {
        self.peek()
            .is_none_or(|c| BLANKS.contains(&c) || ".,|:)(".contains(c))
            || self.rest().starts_with(RIGHT)
    }

    fn bad_character(&self) -> String {
        let shown = self.peek().map(quote::unicode).unwrap_or_default();
        format!("bad character {shown}")
    }

    fn field_or_variable(&mut self, kind: Kind) -> Step {
        if self.at_terminator() {
            return Ok(match kind {
                Kind::Variable => kind,
                _ => Kind::Keyword(Keyword::Dot),
            });
        }
        self.run(is_alphanumeric);
        if self.at_terminator() {
            Ok(kind)
        } else {
            Err(self.bad_character())
        }
    }

    fn identifier(&mut self) -> Step {
        self.run(is_alphanumeric);
        if !self.at_terminator() {
            return Err(self.bad_character());
        }
        Ok(match &self.text[self.start..self.at] {
            "block" => Kind::Keyword(Keyword::Block),
            "break" => Kind::Keyword(Keyword::Break),
            "continue" => Kind::Keyword(Keyword::Continue),
            "define" => Kind::Keyword(Keyword::Define),
            "else" => Kind::Keyword(Keyword::Else),
            "end" => Kind::Keyword(Keyword::End),
            "if" => Kind::Keyword(Keyword::If),
            "nil" => Kind::Keyword(Keyword::Nil),
            "range" => Kind::Keyword(Keyword::Range),
            "template" => Kind::Keyword(Keyword::Template),
            "with" => Kind::Keyword(Keyword::With),
            "true" | "false" => Kind::Bool,
            _ => Kind::Identifier,
        })
    }

    fn number(&mut self) -> Step {
        if !self.scan_number() {
            return Err(self.bad_number());
        }
        if matches!(self.peek(), Some('+' | '-')) {
            if !self.scan_number() || !self.text[..self.at].ends_with('i') {
                return Err(self.bad_number());
            }
            return Ok(Kind::Complex);
        }
        Ok(Kind::Number)
    }

    fn bad_number(&self) -> String {
        let text = &self.text[self.start..self.at];
        format!(
            "bad number syntax: {}",
            quote::quote(text.as_bytes(), false)
        )
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.run(|c| digits.contains(c));
        if self.accept(".") {
            self.run(|c| digits.contains(c));
        }
        let exponent = match digits.len() {
            11 => "eE",
            23 => "pP",
            _ => "",
        };
        if self.accept(exponent) {
            self.accept("+-");
            self.run(|c| c.is_ascii_digit() || c == '_');
        }
        self.accept("i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.next();
            return false;
        }
        true
    }
}

fn has_left_trim(text: &str) -> bool {
    text.strip_prefix('-')
        .is_some_and(|t| t.starts_with(BLANKS))
}

fn has_right_trim(text: &str) -> bool {
    text.strip_prefix(BLANKS)
        .is_some_and(|t| t.starts_with('-'))
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphabetic() || c.is_ascii_digit() || !c.is_ascii() && c.is_numeric()
}
