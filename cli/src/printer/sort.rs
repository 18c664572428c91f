//! `--sort-by`: the order of objects by the value of a JSONPath, as kubectl orders them.

use std::cmp::Ordering;

use serde_json::Value;

use super::jsonpath::{Template, relaxed};

/// Sorts things by what `path` finds in the object of each; those without the field come first.
pub(crate) fn sort<T>(
    things: &mut Vec<T>,
    path: &str,
    object: impl Fn(&T) -> &Value,
) -> Result<(), String> {
    let template = Template::parse(&relaxed(path)?, true)?;
    let mut keyed = Vec::with_capacity(things.len());
    for thing in things.drain(..) {
        let key = template
            .values(object(&thing))?
            .into_iter()
            .next()
            .map(std::borrow::Cow::into_owned);
        keyed.push((key, thing));
    }
    let quantities = keyed
        .iter()
        .all(|(key, _)| key.as_ref().is_none_or(|k| quantity(k).is_some()));
    keyed.sort_by(|(a, _), (b, _)| match (a, b) {
        (None, None) => Ordering::Equal,
        (None, _) => Ordering::Less,
        (_, None) => Ordering::Greater,
        (Some(a), Some(b)) if quantities => quantity(a).cmp(&quantity(b)),
        (Some(a), Some(b)) => compare(a, b),
    });
    things.extend(keyed.into_iter().map(|(_, thing)| thing));
    Ok(())
}

/// A string that reads as an amount, such as `500Mi`, in thousandths.
fn quantity(value: &Value) -> Option<i128> {
    api::meta::quantity::Quantity::parse(value.as_str()?)
        .ok()
        .map(|q| q.milli())
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a
            .as_f64()
            .partial_cmp(&b.as_f64())
            .unwrap_or(Ordering::Equal),
        (Value::String(a), Value::String(b)) => natural(a, b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}

/// Text order in which runs of digits count as numbers: `pod-2` before `pod-10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let digits = |s: &str| s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
        let (da, db) = (digits(a), digits(b));
        if da > 0 && db > 0 {
            let (na, nb) = (
                a[..da].trim_start_matches('0'),
                b[..db].trim_start_matches('0'),
            );
            let order = na
                .len()
                .cmp(&nb.len())
                .then_with(|| na.cmp(nb))
                .then_with(|| da.cmp(&db));
            if order.is_ne() {
                return order;
            }
            (a, b) = (&a[da..], &b[db..]);
            continue;
        }
        match (a.chars().next(), b.chars().next()) {
            (Some(x), Some(y)) if x == y => (a, b) = (&a[x.len_utf8()..], &b[y.len_utf8()..]),
            (x, y) => return x.cmp(&y),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_digits_are_ordered_as_numbers() {
        assert_eq!(natural("pod-2", "pod-10"), Ordering::Less);
        assert_eq!(natural("a", "b"), Ordering::Less);
        assert_eq!(natural("a1", "a"), Ordering::Greater);
    }
}
