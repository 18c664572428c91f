//! Tests of YAML. What is written was recorded from kubectl.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{documents, write};

fn read(text: &str) -> Value {
    let mut documents = documents(text).expect("YAML");
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0).value
}

fn problem(text: &str) -> String {
    documents(text).expect_err("an error").to_string()
}

/// `testdata/kubectl.yaml` is what `kubectl create configmap --dry-run=client -o yaml` printed for
/// the data in `testdata/kubectl.json`.
#[test]
fn config_maps_are_written_as_kubectl_prints_them() {
    let object: Value = serde_json::from_str(include_str!("testdata/kubectl.json")).expect("JSON");
    assert_eq!(write(&object), include_str!("testdata/kubectl.yaml"));
    assert_eq!(read(include_str!("testdata/kubectl.yaml")), object);
}

#[test]
fn collections_are_written_without_needless_indentation() {
    let value = json!({"a": [], "b": {}, "c": [1, {"x": 1, "y": [2, [3, []]]}, [4]], "d": null, "e": {"f": [{"g": "h"}]}});
    assert_eq!(
        write(&value),
        "a: []\nb: {}\nc:\n- 1\n- x: 1\n  \"y\":\n  - 2\n  - - 3\n    - []\n- - 4\nd: null\n\
        e:\n  f:\n  - g: h\n"
    );
    assert_eq!(write(&json!([])), "[]\n");
    assert_eq!(write(&json!("x")), "x\n");
    assert_eq!(
        write(&json!([1.5, 1e21, 0.00001, -7])),
        "- 1.5\n- 1e+21\n- 1e-05\n- -7\n"
    );
}

#[test]
fn keys_are_sorted_naturally() {
    let value = json!({"k10": 1, "k9": 1, "Z": 1, "a": 1, "k": 1, "10": 1, "9": 1, "_": 1});
    assert_eq!(
        write(&value),
        "_: 1\n\"9\": 1\n\"10\": 1\nZ: 1\na: 1\nk: 1\nk9: 1\nk10: 1\n"
    );
}

#[test]
fn plain_scalars_mean_what_yaml_1_1_says() {
    for (text, value) in [
        ("yes", json!(true)),
        ("No", json!(false)),
        ("on", json!(true)),
        ("y", json!(true)),
        ("~", Value::Null),
        ("0644", json!(420)),
        ("0o644", json!(420)),
        ("0x1F", json!(31)),
        ("0b11", json!(3)),
        ("1_000", json!(1000)),
        ("-5", json!(-5)),
        ("+5", json!(5)),
        ("1.5", json!(1.5)),
        ("1e3", json!(1000)),
        (".5", json!(0.5)),
        ("1.0", json!(1)),
        ("18446744073709551615", json!(18446744073709551615u64)),
        ("089", json!(89)),
        ("2020-01-01", json!("2020-01-01")),
        ("1:30", json!("1:30")),
        ("1.2.3", json!("1.2.3")),
        ("'yes'", json!("yes")),
        ("\"0644\"", json!("0644")),
        ("!!str 5", json!("5")),
        ("!!int 5", json!(5)),
        ("5m", json!("5m")),
        ("yEs", json!("yEs")),
        ("!!binary YWI=", json!("ab")),
        ("a:b", json!("a:b")),
    ] {
        assert_eq!(read(&format!("v: {text}"))["v"], value, "{text}");
    }
}

#[test]
fn documents_are_told_apart_and_positions_kept() {
    let text = "# a comment\n---\na: 1\n---\n# nothing\n---\nspec:\n  containers:\n  - name: c\n    image: x\n  - {name: d}\n...\n";
    let documents = documents(text).expect("YAML");
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[0].value, json!({"a": 1}));
    assert_eq!(documents[1].line, 7);
    assert_eq!(
        documents[1].position("spec.containers[0].image"),
        Some((10, 5))
    );
    assert_eq!(documents[1].position("spec.containers[1]"), Some((11, 5)));
    assert_eq!(documents[1].position("spec.nothing"), None);
    assert_eq!(super::documents("").expect("YAML"), []);
}

#[test]
fn anchors_and_merges_work_within_limits() {
    let text = "base: &b {x: 1, z: 2}\nuse:\n  <<: *b\n  z: 3\nlist: [*b]\n1: int\ntrue: bool\n";
    assert_eq!(
        read(text),
        json!({"base": {"x": 1, "z": 2}, "use": {"x": 1, "z": 3}, "list": [{"x": 1, "z": 2}],
        "1": "int", "true": "bool"})
    );
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..10 {
        let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
        bomb.push_str(&format!("a{i}: &a{i} [{aliases}]\n"));
    }
    assert!(problem(&bomb).contains("excessive aliasing"));
    // An anchor copies what it names, also when nothing ever refers to it.
    let list = "1,".repeat(20_000);
    let mut nested = String::new();
    for i in 0..100 {
        nested.push_str(&format!("&n{i} ["));
    }
    let nested = format!("{nested}{list}{}", "]".repeat(100));
    assert!(problem(&nested).contains("excessive aliasing"));
    assert!(documents(&"[".repeat(100_000)).is_err());
}

#[test]
fn what_is_wrong_is_found_with_its_line() {
    assert_eq!(
        problem("a: 1\nb:\n  c: 1\n  c: 2\n"),
        "yaml: line 4: key \"c\" already set in map"
    );
    assert_eq!(documents("a: 1\na: 2\n").expect_err("an error").column, 1);
    assert!(problem("a: [1, 2\nb: 3\n").starts_with("yaml: line "));
    assert!(problem("a: .inf\n").contains("unsupported value: +Inf"));
    assert!(problem("a: *none\n").starts_with("yaml: line 1"));
    assert!(problem("a: !!int x\n").contains("cannot decode !!str `x` as a !!int"));
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        ".{0,8}",
        "[ -~\n]{0,20}",
        "[a-z :#'\"-]{0,12}",
        "(yes|no|null|~|1|0x1|1e3|2020-01-01|1:30|<<|=|\\.inf|0b1|- a|a: b|)",
        "([a-z]{1,9} {1,2}){0,30}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let key = prop_oneof!["[ -~]{0,10}", "[a-z0-9]{1,4}", ".{0,4}", "[a-z ]{129,140}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4).prop_map(|m| m.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(value in any_value()) {
        let text = write(&json!({ "v": value }));
        let mut read = documents(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
        prop_assert_eq!(read.remove(0).value, json!({ "v": value }), "{}", text);
    }

    #[test]
    fn no_input_makes_it_panic(text in "[-a-z:{}\\[\\]&*!|>'\"#%@` \n\t]{0,40}") {
        let _ = documents(&text);
    }
}
