//! Tokens to tree, with Go's grammar and its messages.

mod pipeline;

use super::lex::{Keyword, Kind, Lexer, Token};
use super::node::{Action, Branch, Invocation, Node, Tree};
use super::stack::Stack;
use crate::printer::go::quote;

/// Parses a whole text.
pub(super) fn parse(name: &str, text: &str, stack: Stack) -> Result<Tree, String> {
    let mut parser = Parser {
        lexer: Lexer::new(text),
        own: Own::default(),
        tree: Tree::default(),
        depth: 0,
        stack,
        name,
    };
    let nodes = parser.top()?;
    parser.add(name.to_owned(), nodes)?;
    parser.tree.text = text.to_owned();
    Ok(parser.tree)
}

/// What each definition has of its own.
struct Own {
    /// Tokens that were looked at and put back: the last one comes next.
    back: Vec<Token>,
    /// The line of the token that was read last.
    line: usize,
    variables: Vec<String>,
    action_line: usize,
    ranges: usize,
    parens: usize,
}

impl Default for Own {
    fn default() -> Self {
        Self {
            back: Vec::new(),
            line: 0,
            variables: vec!["$".to_owned()],
            action_line: 0,
            ranges: 0,
            parens: 0,
        }
    }
}

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq)]
enum Ending {
    Else,
    End,
}

impl Ending {
    fn shown(self) -> &'static str {
        match self {
            Self::Else => "{{else}}",
            Self::End => "{{end}}",
        }
    }
}

/// A node, or what ends those before.
enum Piece {
    Node(Node),
    Ending(Ending),
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    own: Own,
    tree: Tree,
    depth: usize,
    stack: Stack,
    name: &'t str,
}

type Parsed<T> = Result<T, String>;

impl Parser<'_> {
    fn next(&mut self) -> Token {
        if let Some(token) = self.own.back.pop() {
            return token;
        }
        let token = self.lexer.token();
        self.own.line = token.line;
        token
    }

    fn back(&mut self, token: Token) {
        self.own.back.push(token);
    }

    fn peek(&mut self) -> Kind {
        let token = self.next();
        let kind = token.kind;
        self.back(token);
        kind
    }

    fn next_word(&mut self) -> Token {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    /// The next token but blanks, which are gone then.
    fn peek_word(&mut self) -> Token {
        let token = self.next_word();
        self.back(token.clone());
        token
    }

    fn fail<T>(&self, problem: impl AsRef<str>) -> Parsed<T> {
        let (name, line) = (self.name, self.own.line);
        Err(format!("template: {name}:{line}: {}", problem.as_ref()))
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Parsed<T> {
        let shown = token.shown();
        if token.kind != Kind::Error {
            return self.fail(format!("unexpected {shown} in {context}"));
        }
        let started = self.own.action_line;
        if started == 0 || started == token.line {
            return self.fail(shown);
        }
        let action = if shown.ends_with(" action") {
            ""
        } else {
            " in action"
        };
        let name = self.name;
        self.fail(format!("{shown}{action} started at {name}:{started}"))
    }

    fn expect(&mut self, kinds: &[Kind], context: &str) -> Parsed<Token> {
        let token = self.next_word();
        if kinds.contains(&token.kind) {
            Ok(token)
        } else {
            self.unexpected(&token, context)
        }
    }

    /// One level deeper.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if !self.stack.has_room() {
            return self.fail("max nesting depth exceeded");
        }
        self.depth += 1;
        self.tree.depth = self.tree.depth.max(self.depth);
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn add(&mut self, name: String, nodes: Vec<Node>) -> Parsed<()> {
        let known = self.tree.templates.get(&name);
        if known.is_none_or(|known| super::node::is_empty(known)) {
            self.tree.templates.insert(name, nodes);
        } else if !super::node::is_empty(&nodes) {
            let name = quote::quote(name.as_bytes(), false);
            return self.fail(format!("template: multiple definition of template {name}"));
        }
        Ok(())
    }

    fn top(&mut self) -> Parsed<Vec<Node>> {
        let mut nodes = Vec::new();
        loop {
            let token = self.next();
            match token.kind {
                Kind::End => return Ok(nodes),
                Kind::LeftDelimiter => {
                    let word = self.next_word();
                    if word.kind == Kind::Keyword(Keyword::Define) {
                        self.definition()?;
                        continue;
                    }
                    self.back(word);
                }
                _ => {}
            }
            self.back(token);
            match self.text_or_action()? {
                Piece::Node(node) => nodes.push(node),
                Piece::Ending(ending) => {
                    return self.fail(format!("unexpected {}", ending.shown()));
                }
            }
        }
    }

    /// The nodes up to the end of a template that has its own tokens and variables.
    fn with_own<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let outer = std::mem::take(&mut self.own);
        let parsed = parse(self)?;
        self.own = outer;
        Ok(parsed)
    }

    fn definition(&mut self) -> Parsed<()> {
        const CONTEXT: &str = "define clause";
        self.with_own(|parser| {
            let token = parser.expect(&[Kind::String, Kind::RawString], CONTEXT)?;
            let name = parser.unquoted(&token)?;
            parser.expect(&[Kind::RightDelimiter], CONTEXT)?;
            parser.body(name, CONTEXT)
        })
    }

    fn body(&mut self, name: String, context: &str) -> Parsed<()> {
        let (nodes, ending) = self.list()?;
        if ending != Ending::End {
            return self.fail(format!("unexpected {} in {context}", ending.shown()));
        }
        self.add(name, nodes)
    }

    fn unquoted(&self, token: &Token) -> Parsed<String> {
        match quote::unquote(&token.text) {
            Some(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
            None => self.fail("invalid syntax"),
        }
    }

    fn list(&mut self) -> Parsed<(Vec<Node>, Ending)> {
        let mut nodes = Vec::new();
        while self.peek_word().kind != Kind::End {
            match self.text_or_action()? {
                Piece::Node(node) => nodes.push(node),
                Piece::Ending(ending) => return Ok((nodes, ending)),
            }
        }
        self.fail("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Parsed<Piece> {
        let token = self.next_word();
        match token.kind {
            Kind::Text => Ok(Piece::Node(Node::Text(token.text))),
            Kind::LeftDelimiter => {
                self.own.action_line = token.line;
                let parsed = self.deeper(Self::action)?;
                self.own.action_line = 0;
                Ok(parsed)
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Parsed<Piece> {
        let token = self.next_word();
        let Kind::Keyword(keyword) = token.kind else {
            return self.plain_action(token);
        };
        let node = match keyword {
            Keyword::Block => self.block()?,
            Keyword::Break | Keyword::Continue => self.jump(keyword)?,
            Keyword::Else => {
                let next = self.peek_word();
                if !matches!(next.kind, Kind::Keyword(Keyword::If | Keyword::With)) {
                    self.expect(&[Kind::RightDelimiter], "else")?;
                }
                return Ok(Piece::Ending(Ending::Else));
            }
            Keyword::End => {
                self.expect(&[Kind::RightDelimiter], "end")?;
                return Ok(Piece::Ending(Ending::End));
            }
            Keyword::If => Node::If(self.branch("if")?),
            Keyword::Range => Node::Range(self.branch("range")?),
            Keyword::With => Node::With(self.branch("with")?),
            Keyword::Template => self.invocation()?,
            Keyword::Define | Keyword::Dot | Keyword::Nil => return self.plain_action(token),
        };
        Ok(Piece::Node(node))
    }

    fn plain_action(&mut self, first: Token) -> Parsed<Piece> {
        let at = first.at;
        self.back(first);
        let pipe = self.pipeline("command", Kind::RightDelimiter)?;
        Ok(Piece::Node(Node::Action(Action { at, pipe })))
    }

    fn jump(&mut self, keyword: Keyword) -> Parsed<Node> {
        let (shown, node) = match keyword {
            Keyword::Break => ("{{break}}", Node::Break),
            _ => ("{{continue}}", Node::Continue),
        };
        self.expect(&[Kind::RightDelimiter], shown)?;
        if self.own.ranges == 0 {
            return self.fail(format!("{shown} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn branch(&mut self, context: &str) -> Parsed<Branch> {
        let known = self.own.variables.len();
        let pipe = self.pipeline(context, Kind::RightDelimiter)?;
        let inside_range = usize::from(context == "range");
        self.own.ranges += inside_range;
        let (body, ending) = self.list()?;
        self.own.ranges -= inside_range;
        let otherwise = match ending {
            Ending::End => Vec::new(),
            Ending::Else => self.otherwise(context)?,
        };
        self.own.variables.truncate(known);
        Ok(Branch {
            pipe,
            body,
            otherwise,
        })
    }

    /// What follows `{{else`: `if` and `with` share the `end` of the branch that they are in.
    fn otherwise(&mut self, context: &str) -> Parsed<Vec<Node>> {
        match (context, self.peek()) {
            ("if", Kind::Keyword(Keyword::If)) => {
                self.next();
                let inner = self.deeper(|parser| parser.branch("if"))?;
                Ok(vec![Node::If(inner)])
            }
            ("with", Kind::Keyword(Keyword::With)) => {
                self.next();
                let inner = self.deeper(|parser| parser.branch("with"))?;
                Ok(vec![Node::With(inner)])
            }
            _ => {
                let (nodes, ending) = self.list()?;
                if ending != Ending::End {
                    return self.fail(format!("expected end; found {}", ending.shown()));
                }
                Ok(nodes)
            }
        }
    }

    fn template_name(&mut self, context: &str) -> Parsed<(usize, String)> {
        let token = self.expect(&[Kind::String, Kind::RawString], context)?;
        Ok((token.at, self.unquoted(&token)?))
    }

    fn block(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "block clause";
        let (at, name) = self.template_name(CONTEXT)?;
        let pipe = Some(self.pipeline(CONTEXT, Kind::RightDelimiter)?);
        self.with_own(|parser| parser.body(name.clone(), CONTEXT))?;
        Ok(Node::Template(Invocation { at, name, pipe }))
    }

    fn invocation(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "template clause";
        let (at, name) = self.template_name(CONTEXT)?;
        let token = self.next_word();
        let pipe = if token.kind == Kind::RightDelimiter {
            None
        } else {
            self.back(token);
            Some(self.pipeline(CONTEXT, Kind::RightDelimiter)?)
        };
        Ok(Node::Template(Invocation { at, name, pipe }))
    }
}
