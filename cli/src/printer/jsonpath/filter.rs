//! `[?(...)]`: the items of a list that pass.

use super::eval::{Fault, Run, Values, Walked};
use super::parse::Filter;
use crate::printer::go::compare::{Kind, below, both_whole, kind, same};
use crate::printer::go::{Data, Value, print};

pub(super) fn apply<'a>(run: &mut Run<'a>, values: Values<'a>, filter: &'a Filter) -> Walked<'a> {
    let mut passed = Vec::new();
    for value in values {
        let Data::List(list) = value.data else {
            let shown = match value.is_none() {
                true => "<invalid reflect.Value>".to_owned(),
                false => print::text(&value),
            };
            let problem = format!("{shown} is not array or slice and cannot be filtered");
            return Err(Fault::new(problem, true));
        };
        for item in list.iter() {
            let left = run.steps(vec![item.clone()], &filter.left);
            let Some(operator) = &filter.operator else {
                // An index that is out of bounds leaves what it was applied to, so it passes.
                if left.map_or_else(|fault| fault.found, |left| !left.is_empty()) {
                    passed.push(item);
                }
                continue;
            };
            let all = |fault: Fault| Fault::new(fault.problem, true);
            let Some(left) = only(left.map_err(all)?)? else {
                continue;
            };
            let right = run.steps(vec![item.clone()], &filter.right);
            let Some(right) = only(right.map_err(all)?)? else {
                continue;
            };
            let passes = compare(&left, operator, &right);
            if passes.map_err(|problem| Fault::new(problem, !passed.is_empty()))? {
                passed.push(item);
            }
        }
    }
    Ok(passed)
}

fn only(mut values: Values) -> Result<Option<Value>, Fault> {
    if values.len() > 1 {
        return Err(Fault::new("can only compare one element at a time", true));
    }
    Ok(values.pop())
}

fn compare(left: &Value, operator: &str, right: &Value) -> Result<bool, String> {
    match operator {
        "==" => equal(left, right),
        "!=" => equal(left, right).map(|equal| !equal),
        "<" => less(left, right),
        ">=" => less(left, right).map(|less| !less),
        "<=" => Ok(less(left, right)? || equal(left, right)?),
        ">" => Ok(!(less(left, right)? || equal(left, right)?)),
        _ => Err(format!("unrecognized filter operator {operator}")),
    }
}

/// The kind of both, which has to be one, or two kinds of whole numbers.
fn shared(left: &Value, right: &Value) -> Result<Kind, String> {
    let (a, b) = (kind(left), kind(right));
    if a == Kind::None || b == Kind::None {
        return Err("invalid type for comparison".to_owned());
    }
    if a != b && !both_whole(a, b) {
        return Err("incompatible types for comparison".to_owned());
    }
    Ok(a)
}

fn equal(left: &Value, right: &Value) -> Result<bool, String> {
    shared(left, right)?;
    Ok(same(left, right))
}

fn less(left: &Value, right: &Value) -> Result<bool, String> {
    match shared(left, right)? {
        Kind::Bool | Kind::Complex => Err("invalid type for comparison".to_owned()),
        _ => Ok(below(left, right)),
    }
}
