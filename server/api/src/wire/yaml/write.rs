//! Writes YAML as go-yaml v2 does.

use std::cmp::Ordering;
use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

use super::scalar::{Plain, is_base60, resolve};

/// Lines are folded at the first space after this column.
const WIDTH: usize = 80;
/// Keys beyond this many bytes are written as `? key`.
const SIMPLE_KEY_MAX: usize = 128;

/// The value as `kubectl -o yaml` prints it, with a line break at the end.
pub fn write(value: &Value) -> String {
    let mut writer = Writer { out: String::new() };
    match value {
        Value::Object(map) if !map.is_empty() => writer.mapping(map, 0, true),
        Value::Array(list) if !list.is_empty() => writer.sequence(list, 0, true),
        plain => writer.leaf(plain, 2),
    }
    writer.out
}

struct Writer {
    out: String,
}

impl Writer {
    fn indent(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    /// The column that the next character comes to, from 0.
    fn column(&self) -> usize {
        let line = self.out.rfind('\n').map_or(0, |at| at + 1);
        self.out[line..].chars().count()
    }

    /// A mapping at an indentation; the first key stands where the writer is unless on a new line.
    fn mapping(&mut self, map: &Map<String, Value>, indent: usize, on_new_line: bool) {
        let mut keys: Vec<&String> = map.keys().collect();
        keys.sort_by(|a, b| natural_order(a, b));
        for (i, key) in keys.into_iter().enumerate() {
            if i > 0 || on_new_line {
                self.indent(indent);
            }
            if key.len() > SIMPLE_KEY_MAX || key.contains(is_break) {
                self.out.push_str("? ");
                self.text(key, indent + 2, false);
                self.indent(indent);
                self.out.push_str(": ");
                self.entry(&map[key], indent + 2);
                continue;
            }
            self.text(key, indent, true);
            self.out.push(':');
            match &map[key] {
                Value::Object(below) if !below.is_empty() => {
                    self.out.push('\n');
                    self.mapping(below, indent + 2, true);
                }
                Value::Array(list) if !list.is_empty() => {
                    self.out.push('\n');
                    self.sequence(list, indent, true);
                }
                plain => {
                    self.out.push(' ');
                    self.leaf(plain, indent + 2);
                }
            }
        }
    }

    fn sequence(&mut self, list: &[Value], indent: usize, on_new_line: bool) {
        for (i, value) in list.iter().enumerate() {
            if i > 0 || on_new_line {
                self.indent(indent);
            }
            self.out.push_str("- ");
            self.entry(value, indent + 2);
        }
    }

    /// A value that begins on the line where the writer is.
    fn entry(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Object(map) if !map.is_empty() => self.mapping(map, indent, false),
            Value::Array(list) if !list.is_empty() => self.sequence(list, indent, false),
            plain => self.leaf(plain, indent),
        }
    }

    /// A scalar or an empty collection, and the end of the line.
    fn leaf(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Null => self.out.push_str("null\n"),
            Value::Bool(value) => {
                let _ = writeln!(self.out, "{value}");
            }
            Value::Number(number) => {
                let _ = writeln!(self.out, "{}", number_text(number));
            }
            Value::String(text) => self.text(text, indent, false),
            Value::Array(_) => self.out.push_str("[]\n"),
            Value::Object(_) => self.out.push_str("{}\n"),
        }
    }

    /// A text in the style that go-yaml chooses. Keys are not folded and don't end the line.
    fn text(&mut self, text: &str, indent: usize, key: bool) {
        let allowed = Allowed::of(text);
        if text.contains('\n') && allowed.block && !key {
            self.literal(text, indent);
            return;
        }
        let as_is = resolve(text) == Plain::Text && !is_base60(text) && !text.contains('\n');
        let folds = !key;
        match () {
            () if as_is && allowed.plain => self.plain(text, indent, folds),
            () if as_is && allowed.single_quoted => {
                self.out.push('\'');
                let escaped = text.replace('\'', "''");
                self.folded(&escaped, indent, folds, true);
                self.out.push('\'');
            }
            () => self.double_quoted(text, indent, folds),
        }
        if !key {
            self.out.push('\n');
        }
    }

    fn plain(&mut self, text: &str, indent: usize, folds: bool) {
        self.folded(text, indent, folds, false);
    }

    /// Writes a text, and breaks the line at single spaces beyond the width.
    fn folded(&mut self, text: &str, indent: usize, folds: bool, quoted: bool) {
        let mut column = self.column();
        let mut after_space = false;
        let mut chars = text.chars().enumerate().peekable();
        let last = text.chars().count().saturating_sub(1);
        while let Some((i, c)) = chars.next() {
            let next_is_space = chars.peek().is_some_and(|(_, next)| *next == ' ');
            let inside = !quoted || (i > 0 && i < last);
            if c == ' ' && folds && !after_space && column > WIDTH && !next_is_space && inside {
                self.out.push('\n');
                self.indent(indent);
                column = indent;
            } else {
                self.out.push(c);
                column += 1;
            }
            after_space = c == ' ';
        }
    }

    fn double_quoted(&mut self, text: &str, indent: usize, folds: bool) {
        self.out.push('"');
        let mut column = self.column();
        let mut after_space = false;
        let last = text.len().saturating_sub(1);
        let mut chars = text.char_indices().peekable();
        while let Some((i, c)) = chars.next() {
            let start = self.out.len();
            let breaks = c == ' ' && folds && !after_space && column > WIDTH;
            if breaks && i > 0 && i < last {
                self.out.push('\n');
                self.indent(indent);
                column = indent;
                if chars.peek().is_some_and(|(_, next)| *next == ' ') {
                    self.out.push('\\');
                    column += 1;
                }
                after_space = true;
                continue;
            }
            if is_printable(c) && !is_break(c) && c != '"' && c != '\\' {
                self.out.push(c);
            } else {
                self.escaped(c);
            }
            column += self.out[start..].chars().count();
            after_space = c == ' ';
        }
        self.out.push('"');
    }

    fn escaped(&mut self, c: char) {
        self.out.push('\\');
        let short = match c {
            '\0' => '0',
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{b}' => 'v',
            '\u{c}' => 'f',
            '\r' => 'r',
            '\u{1b}' => 'e',
            '"' | '\\' => c,
            '\u{85}' => 'N',
            '\u{a0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => {
                let code = u32::from(c);
                let _ = match code {
                    0..=0xff => write!(self.out, "x{code:02X}"),
                    0x100..=0xffff => write!(self.out, "u{code:04X}"),
                    _ => write!(self.out, "U{code:08X}"),
                };
                return;
            }
        };
        self.out.push(short);
    }

    /// `|` and the lines of the text as they are.
    fn literal(&mut self, text: &str, indent: usize) {
        self.out.push('|');
        if text.starts_with([' ', '\n', '\u{2028}', '\u{2029}']) {
            self.out.push('2');
        }
        if !text.ends_with(is_break) {
            self.out.push('-');
        } else if text == "\n" || text.trim_end_matches(is_break).len() + 1 < text.len() {
            self.out.push('+');
        }
        self.out.push('\n');
        for line in text.split_inclusive('\n') {
            if line != "\n" {
                self.indent(indent);
            }
            self.out.push_str(line);
        }
        if !text.ends_with('\n') {
            self.out.push('\n');
        }
    }
}

/// Which styles can hold a text.
struct Allowed {
    plain: bool,
    single_quoted: bool,
    block: bool,
}

impl Allowed {
    fn of(text: &str) -> Self {
        let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else {
            return Self {
                plain: true,
                single_quoted: true,
                block: false,
            };
        };
        let special = text.contains(|c| !is_printable(c));
        let pairs = || text.chars().zip(text.chars().skip(1));
        let break_space = pairs().any(|(a, b)| is_break(a) && b == ' ');
        let space_break = pairs().any(|(a, b)| a == ' ' && is_break(b));
        let outer_space = first == ' ' || last == ' ' || is_break(first) || is_break(last);
        let breaks = text.contains(is_break);
        Self {
            plain: !special
                && !break_space
                && !space_break
                && !outer_space
                && !breaks
                && !has_indicators(text),
            single_quoted: !special && !break_space && !space_break && !breaks,
            block: !special && !space_break && last != ' ',
        }
    }
}

/// Whether a text holds what means something else outside of quotes.
fn has_indicators(text: &str) -> bool {
    let blank = |c: Option<char>| c.is_none_or(|c| c == ' ' || c == '\t' || is_break(c));
    let mut chars = text.chars();
    let (first, second) = (chars.next(), chars.next());
    let at_start = match first {
        Some(
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
            | '@' | '`',
        ) => true,
        Some('?' | ':' | '-') => blank(second),
        _ => false,
    };
    let pairs = || {
        text.chars()
            .zip(text.chars().skip(1).map(Some).chain([None]))
    };
    at_start
        || text.starts_with("---")
        || text.starts_with("...")
        || pairs().skip(1).any(|(c, next)| c == ':' && blank(next))
        || text
            .chars()
            .zip(text.chars().skip(1))
            .any(|(a, b)| b == '#' && blank(Some(a)))
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// Numbers as Go's `strconv` writes them: `1e+21`, `1e-05`.
fn number_text(number: &Number) -> String {
    let Some(value) = number.as_f64().filter(|_| number.is_f64()) else {
        return number.to_string();
    };
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..21).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// The order of keys: letters by code point and after everything else, numbers inside by value.
fn natural_order(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let at = a.iter().zip(&b).position(|(x, y)| x != y);
    let Some(at) = at else {
        return a.len().cmp(&b.len());
    };
    let (x, y) = (a[at], b[at]);
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x.cmp(&y),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let mut base = 0;
    if x == '0' || y == '0' {
        let before = a[..at].iter().rev().take_while(|c| c.is_numeric());
        base = i128::from(before.into_iter().any(|c| *c != '0'));
    }
    let number = |chars: &[char]| {
        let digits = chars[at..].iter().map_while(|c| c.to_digit(10));
        digits.fold((base, 0), |(value, length): (i128, usize), digit| {
            (
                value.saturating_mul(10).saturating_add(i128::from(digit)),
                length + 1,
            )
        })
    };
    number(&a).cmp(&number(&b)).then(x.cmp(&y))
}
