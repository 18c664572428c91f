//! The text form of label selectors: `app=web,tier in (a,b),!old`.

use super::labels::{Operator, Requirement, key_problem, requirement};

/// The requirements of a selector, in the order of the text.
pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parser = Parser {
        tokens: tokens(text),
        position: 0,
    };
    parser.selector()
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Symbol(&'static str),
    Word(String),
    Wrong(String),
    End,
}

impl Token {
    /// The text that messages show.
    fn text(&self) -> &str {
        match self {
            Self::Symbol(text) => text,
            Self::Word(text) | Self::Wrong(text) => text,
            Self::End => "",
        }
    }
}

/// Longest first, so that `==` is not read as two.
const SYMBOLS: &[&str] = &["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        if rest.is_empty() {
            tokens.push(Token::End);
            return tokens;
        }
        if let Some(symbol) = SYMBOLS.iter().find(|s| rest.starts_with(**s)) {
            rest = &rest[symbol.len()..];
            tokens.push(Token::Symbol(symbol));
            continue;
        }
        let end = rest
            .find(|c| " \t\r\n=!(),<>".contains(c))
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        if word.contains('\0') {
            tokens.push(Token::Wrong(word.to_owned()));
        } else {
            tokens.push(Token::Word(word.to_owned()));
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    position: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.position).unwrap_or(&Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.position += 1;
        token
    }

    fn selector(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                Token::Word(_) | Token::Symbol("!") => {
                    let requirement = self.requirement();
                    requirements.push(
                        requirement.map_err(|e| format!("unable to parse requirement: {e}"))?,
                    );
                    match self.next() {
                        Token::End => return Ok(requirements),
                        Token::Symbol(",") => {
                            if !matches!(self.peek(), Token::Word(_) | Token::Symbol("!")) {
                                let found = self.peek().text();
                                return Err(format!(
                                    "found '{found}', expected: identifier after ','"
                                ));
                            }
                        }
                        other => {
                            let found = other.text();
                            return Err(format!(
                                "found '{found}', expected: ',' or 'end of string'"
                            ));
                        }
                    }
                }
                Token::End => return Ok(requirements),
                other => {
                    let found = other.text();
                    return Err(format!(
                        "found '{found}', expected: !, identifier, or 'end of string'"
                    ));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut token = self.next();
        let negated = token == Token::Symbol("!");
        if negated {
            token = self.next();
        }
        let Token::Word(key) = token else {
            return Err(format!("found '{}', expected: identifier", token.text()));
        };
        // Kubernetes has no path for a key in a text selector and prints Go's nil.
        if let Some(problem) = key_problem("<nil>", &key) {
            return Err(problem);
        }
        if matches!(self.peek(), Token::End | Token::Symbol(",")) {
            let operator = match negated {
                true => Operator::DoesNotExist,
                false => Operator::Exists,
            };
            return requirement(&key, operator, Vec::new());
        }
        let operator = self.operator()?;
        let values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => vec![self.exact_value()?],
        };
        requirement(&key, operator, values)
    }

    fn operator(&mut self) -> Result<Operator, String> {
        let token = self.next();
        match token.text() {
            "=" => Ok(Operator::Equals),
            "==" => Ok(Operator::DoubleEquals),
            "!=" => Ok(Operator::NotEquals),
            "in" => Ok(Operator::In),
            "notin" => Ok(Operator::NotIn),
            ">" => Ok(Operator::GreaterThan),
            "<" => Ok(Operator::LessThan),
            other => Err(format!(
                "found '{other}', expected: in, notin, =, ==, !=, gt, lt"
            )),
        }
    }

    fn exact_value(&mut self) -> Result<String, String> {
        match self.peek() {
            Token::End | Token::Symbol(",") => Ok(String::new()),
            Token::Word(_) => Ok(self.next().text().to_owned()),
            other => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }

    /// `(a,b)`; an empty place stands for the empty value.
    fn values(&mut self) -> Result<Vec<String>, String> {
        let open = self.next();
        if open != Token::Symbol("(") {
            return Err(format!("found '{}' expected: '('", open.text()));
        }
        let mut values = Vec::new();
        let mut expects_value = true;
        loop {
            let token = self.next();
            match token {
                Token::Symbol(")") => {
                    if expects_value {
                        values.push(String::new());
                    }
                    return Ok(values);
                }
                Token::Symbol(",") => {
                    if expects_value {
                        values.push(String::new());
                    }
                    expects_value = true;
                }
                Token::Word(word) if expects_value => {
                    values.push(word);
                    expects_value = false;
                }
                other => {
                    let found = other.text();
                    return Err(match (values.is_empty(), expects_value) {
                        (true, _) => format!("found '{found}', expected: ',', ')' or identifier"),
                        (_, false) => format!("found '{found}', expected: ',' or ')'"),
                        (_, true) => format!("found '{found}', expected: ',', or identifier"),
                    });
                }
            }
        }
    }
}
