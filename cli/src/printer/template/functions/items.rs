//! `index`, `slice`, `len` and kubectl's `exists`.

use std::borrow::Cow;

use super::Called;
use crate::printer::go::{Data, Value};

/// A place in something of this length, or behind its end.
fn place(index: &Value, most: usize) -> Result<usize, String> {
    let Some(number) = index.data.whole() else {
        return Err(if index.is_nil() {
            "cannot index slice/array with nil".to_owned()
        } else {
            format!(
                "cannot index slice/array with type {}",
                index.data.type_name()
            )
        });
    };
    let found = usize::try_from(number).ok().filter(|place| *place <= most);
    found.ok_or_else(|| format!("index out of range: {number}"))
}

pub(super) fn index<'a>(values: &[Value<'a>]) -> Called<'a> {
    let (item, path) = values.split_first().ok_or("nothing to index")?;
    if item.is_nil() {
        return Err("index of untyped nil".to_owned());
    }
    let mut item = item.clone();
    for step in path {
        item = match &item.data {
            Data::Nil => return Err("index of nil pointer".to_owned()),
            Data::Text(text) => {
                let at = place(step, text.len())?;
                let byte = text.get(at).ok_or("reflect: string index out of range")?;
                Data::Byte(*byte).into()
            }
            Data::List(list) => {
                let at = place(step, list.len())?;
                if at == list.len() {
                    return Err("reflect: slice index out of range".to_owned());
                }
                list.get(at)
            }
            Data::Map(map) => match &step.data {
                Data::Text(key) => {
                    let key = std::str::from_utf8(key).ok();
                    let found = key.and_then(|key| map.get(key));
                    found.map_or(Value::nil(), Value::inside)
                }
                Data::Nil => return Err("value is nil; should be of type string".to_owned()),
                data => {
                    let kind = data.type_name();
                    return Err(format!("value has type {kind}; should be string"));
                }
            },
            data => return Err(format!("can't index item of type {}", data.type_name())),
        };
    }
    Ok(item)
}

pub(super) fn slice<'a>(values: &[Value<'a>]) -> Called<'a> {
    let (item, ends) = values.split_first().ok_or("nothing to slice")?;
    if item.is_nil() {
        return Err("slice of untyped nil".to_owned());
    }
    if ends.len() > 3 {
        return Err(format!("too many slice indexes: {}", ends.len()));
    }
    let (length, capacity) = match &item.data {
        Data::Text(_) if ends.len() == 3 => {
            return Err("cannot 3-index slice a string".to_owned());
        }
        Data::Text(text) => (text.len(), text.len()),
        Data::List(list) => (list.len(), list.capacity()),
        data => return Err(format!("can't slice item of type {}", data.type_name())),
    };
    let mut places = [0, length, capacity];
    for (to, end) in places.iter_mut().zip(ends) {
        *to = place(end, capacity)?;
    }
    let [from, to, capacity] = places;
    for (low, high) in [(from, to), (to, capacity)] {
        if low > high {
            return Err(format!("invalid slice index: {low} > {high}"));
        }
    }
    Ok(match &item.data {
        Data::Text(Cow::Borrowed(text)) => text[from..to].into(),
        Data::Text(Cow::Owned(text)) => text[from..to].to_vec().into(),
        Data::List(list) => Data::List(list.slice(from, to, capacity)).into(),
        _ => Value::none(),
    })
}

pub(super) fn len<'a>(values: &[Value<'a>]) -> Called<'a> {
    let item = values.first().ok_or("nothing to measure")?;
    match &item.data {
        Data::Text(text) => Ok(Value::int(text.len())),
        Data::List(list) => Ok(Value::int(list.len())),
        Data::Map(map) => Ok(Value::int(map.len())),
        Data::Nil if item.wrapped => Err("len of nil pointer".to_owned()),
        Data::Nil => Err("reflect: call of reflect.Value.Type on zero Value".to_owned()),
        data => Err(format!("len of type {}", data.type_name())),
    }
}

/// Whether `index` with the same arguments finds something. Of nothing at all, without a path, kubectl
/// says that it exists.
pub(super) fn exists<'a>(values: &[Value<'a>]) -> Called<'a> {
    let (item, path) = values.split_first().ok_or("nothing to look for")?;
    let mut item = item.clone();
    for step in path {
        let at = step.data.whole().and_then(|at| usize::try_from(at).ok());
        let found = match &item.data {
            Data::Text(text) => at
                .and_then(|at| text.get(at))
                .map(|byte| Value::from(Data::Byte(*byte))),
            Data::List(list) => at.filter(|at| *at < list.len()).map(|at| list.get(at)),
            Data::Map(map) => {
                let key = match &step.data {
                    Data::Text(key) => std::str::from_utf8(key).ok(),
                    Data::Nil => Some(""),
                    _ => return Ok(false.into()),
                };
                let found = key.and_then(|key| map.get(key));
                Some(found.map_or(Value::nil(), Value::inside))
            }
            _ => None,
        };
        match found {
            Some(found) => item = found,
            None => return Ok(false.into()),
        }
    }
    Ok((!item.is_nil() || !item.wrapped).into())
}
