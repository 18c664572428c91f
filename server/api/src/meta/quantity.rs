//! Quantities of resources: `250m`, `1.5Gi`, `2e3`.
//!
//! A quantity is exact down to a billionth; what is finer is rounded away from zero, so that who asks
//! for a little gets a little. It remembers the family of its suffix, which its canonical form keeps.

use std::cmp::Ordering;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

const NANOS: i128 = 1_000_000_000;
/// The largest quantity with a binary suffix: larger ones are cut down to it.
const BINARY_MAX: i128 = i64::MAX as i128 * NANOS;
/// Digits that are sure to fit Kubernetes' 64-bit fast path, whose texts keep their spelling.
const FAST_DIGITS: usize = 18;

/// Why a text is no quantity, as Kubernetes says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not of the form number, suffix.
    #[error(
        "quantities must match the regular expression \
         '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Format,
    /// The suffix is unknown.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// The family of suffixes that a quantity is written with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `m`, `k`, `M` and so on.
    #[default]
    Decimal,
    /// `Ki`, `Mi` and so on.
    Binary,
    /// `e3`, `e6` and so on.
    Exponent,
}

/// An amount of a resource. Ordering and equality look at the amount alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self {
        nanos: 0,
        format: Format::Decimal,
    };

    /// Reads a quantity. Surrounding white space is allowed, as in JSON bodies.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(read(text.trim())?.0)
    }

    /// A whole number of units.
    pub fn from_units(units: i64) -> Self {
        Self {
            nanos: i128::from(units) * NANOS,
            format: Format::Decimal,
        }
    }

    /// A number of thousandths.
    pub fn from_milli(milli: i64) -> Self {
        Self {
            nanos: i128::from(milli) * (NANOS / 1_000),
            format: Format::Decimal,
        }
    }

    /// The same amount, written with another family of suffixes.
    #[must_use]
    pub fn with_format(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// Whole units, rounded away from zero.
    pub fn value(self) -> i128 {
        divide_up(self.nanos, NANOS)
    }

    /// Thousandths, rounded away from zero.
    pub fn milli(self) -> i128 {
        divide_up(self.nanos, NANOS / 1_000)
    }

    /// Whether the amount is nothing.
    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// The sign: -1, 0 or 1.
    pub fn sign(self) -> i32 {
        self.nanos.signum() as i32
    }

    /// The amount as a floating-point number of units, for ratios.
    pub fn as_f64(self) -> f64 {
        self.nanos as f64 / NANOS as f64
    }
}

/// The text that the API server stores for a quantity in a request: canonical, but a number that is
/// already as short keeps its spelling (`1.500` stays, `1000m` becomes `1`).
/// `None` if that is the text itself.
pub fn canonical(text: &str) -> Result<Option<String>, Error> {
    let trimmed = text.trim();
    let (quantity, keeps) = read(trimmed)?;
    if keeps && trimmed.len() == text.len() {
        return Ok(None);
    }
    let canonical = if keeps {
        trimmed.to_owned()
    } else {
        quantity.to_string()
    };
    Ok((canonical != text).then_some(canonical))
}

/// The parts of a text, checked for form only.
struct Parts<'a> {
    negative: bool,
    /// Without leading zeros; `0` for an empty integer part.
    integer: &'a str,
    fraction: &'a str,
    suffix: &'a str,
}

fn split(text: &str) -> Result<Parts<'_>, Error> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let (integer, mut rest) = unsigned.split_at(digits(unsigned));
    let mut fraction = "";
    if let Some(after) = rest.strip_prefix('.') {
        (fraction, rest) = after.split_at(digits(after));
    }
    let letters = rest
        .bytes()
        .take_while(|b| b"eEinumkKMGTP".contains(b))
        .count();
    let exponent = &rest[letters..];
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    if text.is_empty() || digits(exponent) != exponent.len() {
        return Err(Error::Format);
    }
    let integer = integer.trim_start_matches('0');
    Ok(Parts {
        negative: text.starts_with('-'),
        integer: if integer.is_empty() { "0" } else { integer },
        fraction,
        suffix: rest,
    })
}

fn suffix(text: &str) -> Result<(u32, i32, Format), Error> {
    let decimal = |exponent| Ok((10, exponent, Format::Decimal));
    let binary = |exponent| Ok((2, exponent, Format::Binary));
    match text {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let exponent = text.strip_prefix(['e', 'E']).ok_or(Error::Suffix)?;
            let exponent = exponent.parse().map_err(|_| Error::Suffix)?;
            Ok((10, exponent, Format::Exponent))
        }
    }
}

/// The quantity, and whether its text is kept as the canonical one.
fn read(text: &str) -> Result<(Quantity, bool), Error> {
    let parts = split(text)?;
    let (base, exponent, mut format) = suffix(parts.suffix)?;
    let fraction = parts.fraction.trim_end_matches('0');
    let digits = parts.integer.len() + parts.fraction.len();
    let keeps = text == "0" || digits <= FAST_DIGITS && keeps_spelling(&parts, base, exponent);
    let mut places = -(fraction.len() as i32) + 9;
    let mut multiplier: i128 = 1;
    if base == 2 {
        multiplier = 1 << exponent;
    } else {
        places = places.saturating_add(exponent);
    }
    let mut nanos = magnitude(parts.integer, fraction, multiplier, places);
    if format == Format::Binary {
        nanos = nanos.min(BINARY_MAX);
        if nanos < NANOS && nanos > 0 {
            format = Format::Decimal;
        }
    }
    if parts.negative {
        nanos = -nanos;
    }
    Ok((Quantity { nanos, format }, keeps))
}

/// `integer.fraction × multiplier × 10^places` with the point taken out of the digits. Saturates far
/// beyond what any resource has (10^29 units).
fn magnitude(integer: &str, fraction: &str, multiplier: i128, places: i32) -> i128 {
    let mut amount: i128 = 0;
    for digit in integer.bytes().chain(fraction.bytes()) {
        amount = amount
            .saturating_mul(10)
            .saturating_add(i128::from(digit - b'0'));
    }
    amount = amount.saturating_mul(multiplier);
    if amount == 0 {
        return 0;
    }
    let power = 10i128.checked_pow(places.unsigned_abs());
    match (places >= 0, power) {
        (true, Some(power)) => amount.saturating_mul(power),
        (true, None) => i128::MAX,
        (false, Some(power)) => divide_up(amount, power),
        (false, None) => 1,
    }
}

/// Kubernetes keeps the text of a number that its fast path takes to be canonical already.
fn keeps_spelling(parts: &Parts<'_>, base: u32, exponent: i32) -> bool {
    let digits = || parts.integer.bytes().chain(parts.fraction.bytes());
    if base == 2 {
        let room = 15 - parts.integer.len() as i32 - exponent * 3 / 10 - 1;
        let last = parts.integer.parse::<i64>().unwrap_or(0);
        return parts.fraction.is_empty() && room >= 0 && last & 7 != 0;
    }
    let scale = exponent.saturating_sub(parts.fraction.len() as i32);
    let thousands = digits().count() >= 3 && digits().skip(digits().count() - 3).all(|b| b == b'0');
    scale >= -9 && scale % 3 == 0 && !thousands && !parts.integer.starts_with('0')
}

fn divide_up(amount: i128, by: i128) -> i128 {
    let whole = amount / by;
    if whole * by == amount {
        return whole;
    }
    whole + amount.signum()
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let units = self.nanos / NANOS;
        let small = self.nanos.abs() < 1_024 * NANOS;
        if self.format == Format::Binary && !small && units * NANOS == self.nanos {
            let (mut amount, mut index) = (units, 0);
            const SUFFIXES: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
            while amount % 1_024 == 0 && index < SUFFIXES.len() - 1 {
                amount /= 1_024;
                index += 1;
            }
            return write!(f, "{amount}{}", SUFFIXES[index]);
        }
        let (mut amount, mut exponent) = (self.nanos, -9);
        while amount % 1_000 == 0 && (exponent < 18 || self.format == Format::Exponent) {
            amount /= 1_000;
            exponent += 3;
        }
        match (self.format, exponent) {
            (_, 0) => write!(f, "{amount}"),
            (Format::Exponent, _) => write!(f, "{amount}e{exponent}"),
            _ => {
                const SUFFIXES: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
                write!(f, "{amount}{}", SUFFIXES[(exponent / 3 + 3) as usize])
            }
        }
    }
}

impl std::str::FromStr for Quantity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl Add for Quantity {
    type Output = Self;

    /// The sum. Nothing plus something has the format of the something.
    fn add(self, other: Self) -> Self {
        let format = if self.is_zero() {
            other.format
        } else {
            self.format
        };
        Self {
            nanos: self.nanos.saturating_add(other.nanos),
            format,
        }
    }
}

impl Neg for Quantity {
    type Output = Self;

    fn neg(self) -> Self {
        Self {
            nanos: -self.nanos,
            ..self
        }
    }
}

impl Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl AddAssign for Quantity {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Quantity {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(quantities: I) -> Self {
        quantities.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        Quantity::parse(text).expect("a quantity").to_string()
    }

    #[test]
    fn amounts_are_written_canonically() {
        for (text, canonical) in [
            ("0", "0"),
            ("0Mi", "0"),
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("1024Mi", "1Gi"),
            ("1Ki", "1Ki"),
            ("512", "512"),
            ("100Ki", "100Ki"),
            ("2e3", "2e3"),
            ("1500M", "1500M"),
            ("1000M", "1G"),
            ("0.1n", "1n"),
            ("-1.5", "-1500m"),
            ("+3", "3"),
            ("1.1i", "!"),
            ("0.5Ki", "512"),
            ("1e-3", "1e-3"),
            ("1E", "1E"),
            ("12345n", "12345n"),
            (".5", "500m"),
            ("1.", "1"),
            ("9223372036854775807", "9223372036854775807"),
            ("100E", "100E"),
            ("20Ei", "9223372036854775807"),
            ("0.5Mi", "512Ki"),
            ("1e3", "1e3"),
            ("0.1Ki", "102400m"),
        ] {
            if canonical == "!" {
                assert_eq!(Quantity::parse(text), Err(Error::Suffix));
            } else {
                assert_eq!(written(text), canonical, "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_quantity_is_explained() {
        assert_eq!(Quantity::parse(""), Err(Error::Format));
        assert_eq!(Quantity::parse("abc"), Err(Error::Format));
        assert_eq!(Quantity::parse("1x"), Err(Error::Format));
        assert_eq!(Quantity::parse("1ki"), Err(Error::Suffix));
        assert_eq!(Quantity::parse("1e"), Err(Error::Suffix));
        assert_eq!(
            Error::Format.to_string(),
            "quantities must match the regular expression \
            '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        );
    }

    #[test]
    fn the_server_keeps_the_spelling_of_numbers_that_are_short_enough() {
        assert_eq!(canonical("100m"), Ok(None));
        assert_eq!(canonical("1000m"), Ok(Some("1".to_owned())));
        assert_eq!(canonical("1.500"), Ok(None));
        assert_eq!(canonical("0.5"), Ok(Some("500m".to_owned())));
        assert_eq!(canonical("1024Mi"), Ok(Some("1Gi".to_owned())));
        assert_eq!(canonical("0"), Ok(None));
        assert_eq!(canonical("x"), Err(Error::Format));
    }

    #[test]
    fn arithmetic_is_exact_and_whole_units_round_up() {
        let half = Quantity::parse("500m").expect("a quantity");
        assert_eq!((half + half).to_string(), "1");
        assert_eq!((half - half - half).to_string(), "-500m");
        assert_eq!((half.value(), half.milli()), (1, 500));
        assert_eq!(Quantity::from_milli(1_500).to_string(), "1500m");
        let memory: Quantity = ["1Gi", "512Mi"]
            .iter()
            .map(|q| Quantity::parse(q).expect("a quantity"))
            .sum();
        assert_eq!(memory.to_string(), "1536Mi");
        let parse = |text| Quantity::parse(text).expect("a quantity");
        assert!(parse("1Gi") > parse("1G"));
        assert_eq!(Quantity::parse("1"), Quantity::parse("1000m"));
    }
}
