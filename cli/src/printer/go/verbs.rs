//! How each verb prints each kind of value.

use super::printf::Printer;
use super::{Data, Value, float, quote};

impl Printer {
    pub(super) fn mistake(&mut self, verb: char, what: &str) {
        self.out
            .extend_from_slice(format!("%!{verb}{what}").as_bytes());
    }

    pub(super) fn with_type(&mut self, value: &Value) {
        if value.is_nil() {
            return self.out.extend_from_slice(b"<nil>");
        }
        self.out
            .extend_from_slice(value.data.type_name().as_bytes());
        self.out.push(b'=');
        self.argument(value, 'v');
    }

    fn bad_verb(&mut self, verb: char, value: &Value) {
        self.mistake(verb, "(");
        self.with_type(value);
        self.out.push(b')');
    }

    /// One argument in the form of its verb.
    pub(super) fn argument(&mut self, value: &Value, verb: char) {
        match verb {
            'v' | 'T' if value.is_nil() => self.pad(b"<nil>"),
            'T' => self.text(value.data.type_name().as_bytes()),
            'p' if matches!(value.data, Data::Map(_) | Data::List(_)) => {
                // Go prints an address, which is another each time.
                self.flags.sharp = !self.flags.sharp;
                self.whole(0, false, 'x');
            }
            _ => self.value(value, verb, false),
        }
    }

    fn value(&mut self, value: &Value, verb: char, inside: bool) {
        match &value.data {
            Data::Nil if inside && self.flags.syntax => {
                self.out.extend_from_slice(b"interface {}(nil)");
            }
            Data::Nil if inside => self.out.extend_from_slice(b"<nil>"),
            Data::Nil => self.bad_verb(verb, value),
            Data::Bool(on) if matches!(verb, 't' | 'v') => {
                self.pad(if *on { b"true" } else { b"false" });
            }
            Data::Int(number) | Data::Int64(number) => self.integer(*number, true, verb, value),
            Data::Byte(number) => self.integer((*number).into(), false, verb, value),
            Data::Float(number) => {
                if !self.float(*number, verb) {
                    self.bad_verb(verb, value);
                }
            }
            Data::Complex(real, imaginary) if "vbgGxXfFeE".contains(verb) => {
                let plus = self.flags.plus;
                self.out.push(b'(');
                self.float(*real, verb);
                self.flags.plus = true;
                self.float(*imaginary, verb);
                self.out.extend_from_slice(b"i)");
                self.flags.plus = plus;
            }
            Data::Text(text) => match verb {
                'v' if self.flags.syntax => self.quoted(text),
                'v' | 's' => self.text(text),
                'x' | 'X' => self.bytes(text, verb == 'X'),
                'q' => self.quoted(text),
                _ => self.bad_verb(verb, value),
            },
            Data::Map(_) | Data::List(_)
                if matches!(verb, 'w' | 'p') && !(inside && verb == 'p') =>
            {
                self.bad_verb(verb, value);
            }
            Data::Map(map) => {
                let items = map
                    .iter()
                    .map(|(key, item)| (Some(key), Value::inside(item)));
                self.items(value, items, verb);
            }
            Data::List(list) => self.items(value, list.iter().map(|item| (None, item)), verb),
            Data::Bool(_) | Data::Complex(..) => self.bad_verb(verb, value),
        }
    }

    fn items<'a>(
        &mut self,
        whole: &Value,
        items: impl Iterator<Item = (Option<&'a String>, Value<'a>)>,
        verb: char,
    ) {
        let (start, between, end) = match (&whole.data, self.flags.syntax) {
            (data, true) => (format!("{}{{", data.type_name()), ", ", b'}'),
            (Data::Map(_), false) => ("map[".to_owned(), " ", b']'),
            (_, false) => ("[".to_owned(), " ", b']'),
        };
        self.out.extend_from_slice(start.as_bytes());
        for (at, (key, item)) in items.enumerate() {
            if at > 0 {
                self.out.extend_from_slice(between.as_bytes());
            }
            if let Some(key) = key {
                self.value(&key.as_bytes().into(), verb, true);
                self.out.push(b':');
            }
            self.value(&item, verb, true);
        }
        self.out.push(end);
    }

    /// A text as wide as asked for.
    fn pad(&mut self, text: &[u8]) {
        let missing = match self.flags.width {
            Some(width) => width.saturating_sub(quote::pieces(text).count()),
            None => 0,
        };
        if !self.flags.minus {
            self.fill(missing);
        }
        self.out.extend_from_slice(text);
        if self.flags.minus {
            self.fill(missing);
        }
    }

    fn fill(&mut self, count: usize) {
        let with = if self.flags.zero && !self.flags.minus {
            b'0'
        } else {
            b' '
        };
        self.out.extend(std::iter::repeat_n(with, count));
    }

    fn pad_with_blanks(&mut self, text: &[u8]) {
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(text);
        self.flags.zero = zero;
    }

    fn cut<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let Some(most) = self.flags.precision else {
            return text;
        };
        let length = quote::pieces(text)
            .take(most)
            .map(|(_, length)| length)
            .sum();
        &text[..length]
    }

    fn text(&mut self, text: &[u8]) {
        let text = self.cut(text);
        self.pad(text);
    }

    fn quoted(&mut self, text: &[u8]) {
        let text = self.cut(text);
        if self.flags.sharp && quote::can_back_quote(text) {
            let quoted = [b"`", text, b"`"].concat();
            return self.pad(&quoted);
        }
        let quoted = quote::quote(text, self.flags.plus);
        self.pad(quoted.as_bytes());
    }

    fn bytes(&mut self, text: &[u8], upper: bool) {
        let text = &text[..self.flags.precision.unwrap_or(usize::MAX).min(text.len())];
        let mut hex = Vec::new();
        for (at, byte) in text.iter().enumerate() {
            if self.flags.space && at > 0 {
                hex.push(b' ');
            }
            if self.flags.sharp && (at == 0 || self.flags.space) {
                hex.extend_from_slice(if upper { b"0X" } else { b"0x" });
            }
            let digits = if upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            };
            hex.extend_from_slice(digits.as_bytes());
        }
        self.pad(&hex);
    }

    fn integer(&mut self, number: i64, signed: bool, verb: char, value: &Value) {
        let code = || u32::try_from(number).ok().and_then(char::from_u32);
        match verb {
            'v' if self.flags.syntax && !signed => {
                let sharp = std::mem::replace(&mut self.flags.sharp, true);
                self.whole(number, signed, 'x');
                self.flags.sharp = sharp;
            }
            'v' | 'd' | 'b' | 'o' | 'O' | 'x' | 'X' => self.whole(number, signed, verb),
            'c' => {
                let c = code().unwrap_or(char::REPLACEMENT_CHARACTER);
                self.pad(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            'q' => {
                let c = code().unwrap_or(char::REPLACEMENT_CHARACTER);
                let quoted = quote::quote_char(c, self.flags.plus);
                self.pad(quoted.as_bytes());
            }
            'U' => {
                let least = self.flags.precision.unwrap_or(4).max(4);
                // As a number without sign, as Go has it.
                let mut text = format!("U+{}", with_zeros(&format!("{:X}", number as u64), least));
                if let Some(c) = code().filter(|c| self.flags.sharp && quote::is_print(*c)) {
                    text.push_str(&format!(" '{c}'"));
                }
                self.pad_with_blanks(text.as_bytes());
            }
            _ => self.bad_verb(verb, value),
        }
    }

    fn whole(&mut self, number: i64, signed: bool, verb: char) {
        let negative = signed && number < 0;
        let size = if negative {
            number.unsigned_abs()
        } else {
            number as u64
        };
        let flags = self.flags;
        let least = match (flags.precision, flags.width) {
            (Some(0), _) if size == 0 => {
                let zero = std::mem::take(&mut self.flags.zero);
                self.fill(flags.width.unwrap_or(0));
                self.flags.zero = zero;
                return;
            }
            (Some(precision), _) => precision,
            (None, Some(width)) if flags.zero && !flags.minus => {
                let sign = negative || flags.plus || flags.space;
                width.saturating_sub(usize::from(sign))
            }
            _ => 0,
        };
        let digits = match verb {
            'b' => format!("{size:b}"),
            'o' | 'O' => format!("{size:o}"),
            'x' => format!("{size:x}"),
            'X' => format!("{size:X}"),
            _ => size.to_string(),
        };
        let digits = with_zeros(&digits, least);
        let prefix = match verb {
            'O' if flags.sharp && !digits.starts_with('0') => "0o0",
            'O' => "0o",
            'b' if flags.sharp => "0b",
            'x' if flags.sharp => "0x",
            'X' if flags.sharp => "0X",
            'o' if flags.sharp && !digits.starts_with('0') => "0",
            _ => "",
        };
        let sign = match (negative, flags.plus, flags.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (.., true) => " ",
            _ => "",
        };
        self.pad_with_blanks(format!("{sign}{prefix}{digits}").as_bytes());
    }

    /// False if the verb is none for floats.
    fn float(&mut self, number: f64, verb: char) -> bool {
        let (form, precision) = match verb {
            'v' => ('g', None),
            'b' | 'g' | 'G' | 'x' | 'X' => (verb, None),
            'f' | 'e' | 'E' => (verb, Some(6)),
            'F' => ('f', Some(6)),
            _ => return false,
        };
        let precision = self.flags.precision.or(precision);
        let text = float::format(number, form, precision);
        let (sign, body) = match text.as_bytes().first() {
            Some(b'-') => ('-', &text[1..]),
            Some(b'+') => ('+', &text[1..]),
            _ => ('+', text.as_str()),
        };
        let sign = if sign == '+' && self.flags.space && !self.flags.plus {
            ' '
        } else {
            sign
        };
        if body.starts_with(['I', 'N']) {
            let hidden = body.starts_with('N') && !self.flags.space && !self.flags.plus;
            let text = if hidden {
                body.to_owned()
            } else {
                format!("{sign}{body}")
            };
            self.pad_with_blanks(text.as_bytes());
            return true;
        }
        let body = if self.flags.sharp && form != 'b' {
            with_point(body, verb, precision)
        } else {
            body.to_owned()
        };
        if !self.flags.plus && sign == '+' {
            self.pad(body.as_bytes());
            return true;
        }
        let missing = self.flags.width.unwrap_or(0).saturating_sub(body.len() + 1);
        if self.flags.zero && !self.flags.minus && missing > 0 {
            self.out
                .extend_from_slice(sign.encode_utf8(&mut [0; 4]).as_bytes());
            self.fill(missing);
            self.out.extend_from_slice(body.as_bytes());
        } else {
            self.pad(format!("{sign}{body}").as_bytes());
        }
        true
    }
}

/// Digits with zeros in front, up to a length.
fn with_zeros(digits: &str, least: usize) -> String {
    let mut out = "0".repeat(least.saturating_sub(digits.len()));
    out.push_str(digits);
    out
}

/// `%#g`: always with a point, and with the zeros that a precision asks for.
fn with_point(body: &str, verb: char, precision: Option<usize>) -> String {
    let hex = matches!(verb, 'x' | 'X');
    let tail = match hex {
        true => body.find(['p', 'P']),
        false => body.find(['e', 'E']),
    };
    let (digits, tail) = body.split_at(tail.unwrap_or(body.len()));
    let mut missing = match verb {
        'v' | 'g' | 'G' | 'x' => i64::try_from(precision.unwrap_or(6)).unwrap_or(6),
        _ => 0,
    };
    let has_point = digits.contains('.');
    let counted = digits
        .chars()
        .filter(|c| *c != '.')
        .skip_while(|c| *c == '0');
    missing -= i64::try_from(counted.count()).unwrap_or(0);
    let mut out = digits.to_owned();
    if !has_point {
        if digits == "0" {
            missing -= 1;
        }
        out.push('.');
    }
    let zeros = usize::try_from(missing).unwrap_or(0);
    out.extend(std::iter::repeat_n('0', zeros));
    out + tail
}
