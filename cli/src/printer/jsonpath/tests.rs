//! Properties that hold for any template; what kubectl makes of each is recorded in the black-box tests.

use proptest::prelude::*;
use serde_json::json;

use super::{Template, relaxed};

fn run(template: &str, allow_missing: bool) -> Result<String, String> {
    let value = json!({"kind": "List", "none": [], "items": [
        {"metadata": {"name": "a", "labels": {"app.kubernetes.io/name": "x"}}, "n": 1, "ok": true},
        {"metadata": {"name": "b"}, "n": 2, "list": [1, 2, 3], "nil": null}]});
    Template::parse(template, allow_missing)?.text(&value)
}

#[test]
fn a_range_without_end_goes_as_far_as_the_template_and_once_more() {
    let template = "{range .items[*]}{.metadata.name}{\"\\n\"}";
    assert_eq!(run(template, true).unwrap(), "a\nb\n\n");
}

#[test]
fn a_union_gives_all_values_of_one_path_before_those_of_the_next() {
    assert_eq!(
        run("{.items[*]['metadata.name','n']}", true).unwrap(),
        "a b 1 2"
    );
}

#[test]
fn bounds_of_an_empty_list_are_kept() {
    for (slice, index) in [("0", 0), ("1:", 1), ("-1", -1), ("-1:", -1), (":1", 0)] {
        let problem = run(&format!("{{.none[{slice}]}}"), true).unwrap_err();
        let expected = format!("array index out of bounds: index {index}, length 0");
        assert_eq!(problem, expected, "{slice}");
    }
    assert_eq!(run("{.none[0:0]}{.none[*]}", true).unwrap(), "");
}

#[test]
fn paths_without_braces_get_theirs() {
    for (given, expected) in [
        ("", ""),
        ("a.b", "{.a.b}"),
        (".a.b", "{.a.b}"),
        ("{a.b}", "{.a.b}"),
        ("{.a.b}", "{.a.b}"),
        (".", "{..}"),
    ] {
        assert_eq!(relaxed(given).as_deref(), Ok(expected));
    }
    for given in ["{", "{}", "a}", "{a}{b}", "a{b}"] {
        assert!(relaxed(given).is_err(), "{given}");
    }
}

/// Pieces of templates that make all constructs, right and wrong.
const PIECES: [&str; 50] = [
    "{",
    "}",
    "[",
    "]",
    "[?(",
    ")]",
    "(",
    ")",
    ".",
    "..",
    "*",
    "@",
    "$",
    ",",
    ":",
    " ",
    "\n",
    "\\",
    "\"",
    "'",
    "\"a\"",
    "'a'",
    "\"\\n\"",
    "'\\'",
    "range ",
    "end",
    "true",
    "false",
    "none",
    ".items",
    ".items[*]",
    ".n",
    ".list",
    ".metadata",
    ".kind",
    ".nil",
    "0",
    "1",
    "-1",
    "+1",
    "1.5",
    "1.5.5",
    "9999999999999999999",
    "==",
    "!=",
    "<",
    ">=",
    "=~",
    "text",
    "ü",
];

proptest! {
    #[test]
    fn no_text_makes_jsonpath_fail(template in "\\PC{0,60}") {
        for allow in [false, true] {
            let _ = run(&template, allow);
            let _ = run(&format!("{{{template}}}"), allow);
            let _ = relaxed(&template);
        }
    }

    #[test]
    fn no_order_of_pieces_makes_jsonpath_fail(
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..24)
    ) {
        // Ranges without end do each more than all before.
        prop_assume!(pieces.iter().filter(|piece| **piece == "range ").count() < 6);
        for allow in [false, true] {
            let _ = run(&pieces.concat(), allow);
            let _ = run(&format!("{{{}}}", pieces.concat()), allow);
        }
    }
}
