//! `fmt.Sprint` and its like.

use super::printf::Printer;
use super::{Data, Value};

/// `fmt.Sprint`: blanks between two values neither of which is a string.
pub(crate) fn sprint(values: &[Value]) -> Vec<u8> {
    let mut printer = Printer::default();
    let is_text = |value: &Value| matches!(value.data, Data::Text(_));
    for (at, value) in values.iter().enumerate() {
        if at > 0 && !is_text(value) && !is_text(&values[at - 1]) {
            printer.out.push(b' ');
        }
        printer.argument(value, 'v');
    }
    printer.out
}

/// `fmt.Sprintln`: blanks between all, and a newline.
pub(crate) fn sprintln(values: &[Value]) -> Vec<u8> {
    let mut printer = Printer::default();
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            printer.out.push(b' ');
        }
        printer.argument(value, 'v');
    }
    printer.out.push(b'\n');
    printer.out
}

/// `fmt.Sprintf`
pub(crate) fn sprintf(format: &[u8], values: &[Value]) -> Vec<u8> {
    let mut printer = Printer::default();
    printer.format(format, values);
    printer.out
}

/// A value as `%v` prints it, as text.
pub(crate) fn text(value: &Value) -> String {
    String::from_utf8_lossy(&sprint(std::slice::from_ref(value))).into_owned()
}

/// A value as `%#v` prints it.
pub(crate) fn syntax(value: &Value) -> String {
    String::from_utf8_lossy(&sprintf(b"%#v", std::slice::from_ref(value))).into_owned()
}
