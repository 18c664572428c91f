//! Floating-point numbers as `strconv.FormatFloat` writes them and `strconv.ParseFloat` reads them.

/// No float has more digits than this on either side of its point.
const MOST: usize = 1100;

/// The decimal digits of a number: `0.d1d2d3... * 10^point`, without zeros at the end.
struct Digits {
    digits: Vec<u8>,
    point: i32,
}

impl Digits {
    /// The digits that tell a number from all others, or this many of them behind the first.
    fn new(value: f64, behind: Option<usize>) -> Self {
        let text = match behind {
            Some(count) => format!("{value:.*e}", count.min(MOST)),
            None => format!("{value:e}"),
        };
        Self::read(&text)
    }

    /// The digits as far as this place behind the point.
    fn fixed(value: f64, places: usize) -> Self {
        let text = format!("{value:.*}", places.min(MOST));
        let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
        let digits = format!("{whole}{part}").into_bytes();
        let leading = digits.iter().take_while(|d| **d == b'0').count();
        // A float has at most 309 digits in front of the point.
        let point = i32::try_from(whole.len()).unwrap_or(0) - i32::try_from(leading).unwrap_or(0);
        Self::trimmed(digits[leading..].to_vec(), point)
    }

    fn read(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
        let point = exponent.parse::<i32>().unwrap_or(0) + 1;
        if digits.iter().all(|d| *d == b'0') {
            return Self::trimmed(Vec::new(), 0);
        }
        Self::trimmed(digits, point)
    }

    fn trimmed(mut digits: Vec<u8>, point: i32) -> Self {
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        let point = if digits.is_empty() { 0 } else { point };
        Self { digits, point }
    }

    fn at(&self, place: i64) -> char {
        let digit = usize::try_from(place).ok().and_then(|p| self.digits.get(p));
        digit.map_or('0', |d| char::from(*d))
    }

    fn exponent(&self) -> i32 {
        if self.digits.is_empty() {
            0
        } else {
            self.point - 1
        }
    }

    fn scientific(&self, places: usize, e: char) -> String {
        let mut out = String::from(self.at(0));
        if places > 0 {
            out.push('.');
            out.extend((1..=places).map(|p| self.at(p as i64)));
        }
        let exponent = self.exponent();
        let sign = if exponent < 0 { '-' } else { '+' };
        out + &format!("{e}{sign}{:02}", exponent.abs())
    }

    fn plain(&self, places: usize) -> String {
        let point = i64::from(self.point);
        let mut out: String = (0..point.max(1))
            .map(|p| if point > 0 { self.at(p) } else { '0' })
            .collect();
        if places > 0 {
            out.push('.');
            out.extend((0..places).map(|p| self.at(point + p as i64)));
        }
        out
    }

    fn len(&self) -> i32 {
        i32::try_from(self.digits.len()).unwrap_or(i32::MAX)
    }
}

/// The text of a number in the form of a verb: one of `e E f g G b x X`; without a precision, as many
/// digits as tell it from all others.
pub(crate) fn format(value: f64, verb: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let value = value.abs();
    if value.is_infinite() {
        return if sign.is_empty() { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = match verb {
        'e' | 'E' => {
            let digits = Digits::new(value, precision);
            let shortest = digits.digits.len().saturating_sub(1);
            digits.scientific(precision.unwrap_or(shortest), verb)
        }
        'f' => match precision {
            Some(places) => Digits::fixed(value, places).plain(places),
            None => {
                let digits = Digits::new(value, None);
                let places = (digits.len() - digits.point).max(0);
                digits.plain(usize::try_from(places).unwrap_or(0))
            }
        },
        'b' => {
            let (mantissa, exponent) = parts(value);
            format!("{mantissa}p{exponent:+}")
        }
        'x' | 'X' => hexadecimal(value, verb, precision),
        _ => general(value, verb, precision),
    };
    format!("{sign}{text}")
}

fn general(value: f64, verb: char, precision: Option<usize>) -> String {
    let wanted = precision.map(|p| p.max(1));
    let digits = Digits::new(value, wanted.map(|p| p - 1));
    let wanted = wanted.map_or(digits.len(), |p| i32::try_from(p).unwrap_or(i32::MAX));
    let mut most = wanted;
    if most > digits.len() && digits.len() >= digits.point {
        most = digits.len();
    }
    if precision.is_none() {
        most = 6;
    }
    let exponent = digits.point - 1;
    let places = |count: i32| usize::try_from(count).unwrap_or(0);
    if exponent < -4 || exponent >= most {
        let e = if verb == 'G' { 'E' } else { 'e' };
        return digits.scientific(places(wanted.min(digits.len()) - 1), e);
    }
    digits.plain(places(digits.len() - digits.point))
}

/// `mantissa * 2^exponent`
fn parts(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let mantissa = bits & ((1 << 52) - 1);
    // Eleven bits.
    let exponent = i32::try_from(bits >> 52 & 0x7FF).unwrap_or(0);
    if exponent == 0 {
        (mantissa, -1074)
    } else {
        (mantissa | 1 << 52, exponent - 1075)
    }
}

fn hexadecimal(value: f64, verb: char, precision: Option<usize>) -> String {
    let (mut mantissa, exponent) = parts(value);
    let mut exponent = if mantissa == 0 { 0 } else { exponent + 52 };
    // The leading one at bit 60.
    mantissa <<= 8;
    while mantissa != 0 && mantissa & 1 << 60 == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    if let Some(places) = precision.filter(|p| *p < 15) {
        let shift = places * 4;
        let extra = mantissa << shift & ((1 << 60) - 1);
        mantissa >>= 60 - shift;
        if extra | (mantissa & 1) > 1 << 59 {
            mantissa += 1;
        }
        mantissa <<= 60 - shift;
        if mantissa & 1 << 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let mut text = format!("0x{}", mantissa >> 60 & 1);
    let mut rest = mantissa << 4;
    let mut fraction = String::new();
    while precision.map_or(rest != 0, |places| fraction.len() < places) {
        // Four bits.
        let digit = u32::try_from(rest >> 60).unwrap_or(0);
        fraction.extend(char::from_digit(digit, 16));
        rest <<= 4;
    }
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(&fraction);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    text.push_str(&format!("p{sign}{:02}", exponent.abs()));
    if verb == 'X' {
        text.make_ascii_uppercase();
    }
    text
}

/// Reads a number; nothing for what is none, or none that a float can hold.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    if !super::number::underscores_separate_digits(rest) {
        return None;
    }
    let plain = rest.replace('_', "").to_ascii_lowercase();
    let value = match plain.strip_prefix("0x") {
        Some(digits) => parse_hexadecimal(digits)?,
        None if matches!(plain.as_str(), "inf" | "infinity") => return Some(sign * f64::INFINITY),
        None if plain == "nan" => return Some(f64::NAN),
        None if plain.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            plain.parse::<f64>().ok()?
        }
        None => return None,
    };
    value.is_finite().then_some(sign * value)
}

fn parse_hexadecimal(text: &str) -> Option<f64> {
    let (digits, exponent) = text.split_once('p')?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let mut value = 0f64;
    for c in whole.chars().chain(part.chars()) {
        value = value * 16.0 + f64::from(c.to_digit(16)?);
    }
    let behind = i32::try_from(part.len()).ok()?.checked_mul(4)?;
    Some(value * 2f64.powi(exponent.checked_sub(behind)?))
}

#[cfg(test)]
mod tests {
    use super::format;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (value, verb, precision, text) in [
            (0.0, 'g', None, "0"),
            (-0.0, 'g', None, "-0"),
            (1e6, 'g', None, "1e+06"),
            (123_456.0, 'g', None, "123456"),
            (1e-5, 'g', None, "1e-05"),
            (1.5, 'e', Some(6), "1.500000e+00"),
            (2.5, 'f', Some(0), "2"),
            (0.05, 'f', Some(1), "0.1"),
            (100.0, 'g', Some(2), "1e+02"),
            (1.0, 'b', None, "4503599627370496p-52"),
            (1.5, 'x', None, "0x1.8p+00"),
            (f64::INFINITY, 'f', Some(2), "+Inf"),
        ] {
            assert_eq!(format(value, verb, precision), text);
        }
    }
}
