//! Properties that hold for any template; what kubectl makes of each is recorded in the black-box tests.

use proptest::prelude::*;
use serde_json::json;

use super::Template;

fn text(template: &str) -> Result<String, String> {
    let value = json!({"kind": "List", "items": [
        {"name": "a", "n": 1, "data": {"x": "aGk="}}, {"name": "b", "n": 2, "list": [1, 2]}]});
    let mut out = Vec::new();
    Template::parse(template, true)?
        .run(&value, &mut out)
        .map_err(|stop| stop.to_string())?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

#[test]
fn a_keyword_ends_where_its_letters_end() {
    for (template, expected) in [
        ("{{range.items}}{{.name}} {{end}}", "a b "),
        ("{{if.kind}}yes{{end}}", "yes"),
        ("{{with.kind}}{{.}}{{end}}", "List"),
        ("{{if(.kind)}}yes{{end}}", "yes"),
    ] {
        assert_eq!(text(template).unwrap(), expected, "{template}");
    }
    let problem = text("{{range$i,$e:=.items}}{{end}}").unwrap_err();
    assert_eq!(problem, "template: output:1: bad character U+0024 '$'");
}

#[test]
fn templates_that_call_themselves_end_with_a_message() {
    let problem = text("{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}").unwrap_err();
    assert!(
        problem.ends_with("exceeded maximum template depth (100000)"),
        "{problem}"
    );
}

#[test]
fn what_is_nested_deeply_is_taken_or_refused() {
    let nested = |count: usize, open: &str, middle: &str, close: &str| {
        text(&[&open.repeat(count), middle, &close.repeat(count)].concat())
    };
    let deep = nested(100_000, "{{if 1}}", "x", "{{end}}");
    assert!(deep.is_ok_and(|text| text == "x"));
    let parens =
        |count: usize| text(&["{{", &"(".repeat(count), "1", &")".repeat(count), "}}"].concat());
    assert_eq!(parens(10_000).unwrap(), "1");
    assert_eq!(
        parens(10_001).unwrap_err(),
        "template: output:1: max expression depth exceeded"
    );
    let unclosed = nested(20_000_000 / 8, "{{if 1}}", "", "");
    assert!(unclosed.is_err());
}

#[test]
fn a_text_that_grows_without_end_ends_the_template() {
    let grow = "{{$x := \"0123456789\"}}{{range 64}}{{$x = print $x $x}}{{end}}";
    let problem = text(grow).unwrap_err();
    assert!(
        problem.contains("error calling print: text of"),
        "{problem}"
    );
}

/// Pieces of templates that make all constructs, right and wrong.
const PIECES: [&str; 72] = [
    "{{",
    "}}",
    "{{-",
    "-}}",
    " ",
    " - ",
    "(",
    ")",
    "|",
    ",",
    ":=",
    "=",
    ".",
    "..",
    "$",
    "$x",
    "$i, $e := ",
    ".items",
    ".kind",
    ".nope",
    ".items.x",
    "range ",
    "if ",
    "with ",
    "else ",
    "else if ",
    "else with ",
    "end",
    "define ",
    "template ",
    "block ",
    "break",
    "continue",
    "nil",
    "true",
    "\"a\"",
    "`b`",
    "'c'",
    "\"\\x",
    "1",
    "-1",
    "0x1F",
    "1.5",
    "1e3",
    "1i",
    "1+2i",
    "1_000",
    "99999999999999999999",
    "index ",
    "slice ",
    "len ",
    "printf ",
    "\"%5.2v|%[3]*d|%x\" ",
    "print ",
    "println ",
    "html ",
    "js ",
    "urlquery ",
    "eq ",
    "lt ",
    "and ",
    "or ",
    "not ",
    "call ",
    "exists ",
    "base64decode ",
    "/* */",
    "/*",
    "\n",
    "text",
    "ü",
    "\u{200b}",
];

proptest! {
    #[test]
    fn no_text_makes_the_template_engine_fail(template in "\\PC*") {
        let _ = text(&template);
        let _ = text(&format!("{{{{{template}}}}}"));
    }

    #[test]
    fn no_order_of_pieces_makes_the_template_engine_fail(
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40)
    ) {
        let _ = text(&pieces.concat());
        // With blanks and braces more of it is a template.
        let _ = text(&format!("{{{{{}}}}}", pieces.join(" ")));
    }

    #[test]
    fn no_format_makes_printf_fail(format in "(%[-+# 0]{0,3}(\\[[0-9]\\])?[0-9*]{0,2}(\\.[0-9*]{0,2})?[a-zA-Z%]?|.){0,6}") {
        let quoted = crate::printer::go::quote::quote(format.as_bytes(), false);
        let printed = text(&format!("{{{{printf {quoted} 7 \"text\" .items 1.5 true nil 2i}}}}"));
        prop_assert!(printed.is_ok(), "{:?}", printed);
    }
}
