//! The rules for names, label keys and values, and generated names, in Kubernetes' wording.
//!
//! Each rule gives the list of problems, empty for a good name. Two functions of Kubernetes say
//! "characters" and two "bytes" for the same limit; clients see whichever the field uses, and so here.

const DNS_LABEL_MAX: usize = 63;
const DNS_SUBDOMAIN_MAX: usize = 253;
const LABEL_MAX: usize = 63;
/// The longest base that still leaves room for the five random characters of a generated name.
const GENERATED_BASE_MAX: usize = 58;
/// The alphabet of generated suffixes: without vowels and look-alikes, so that no words come out.
const GENERATED_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

const DNS_LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const DNS_SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const LABEL_KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_KEY_RULE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must \
     start and end with an alphanumeric character";

/// An RFC 1123 label: the rule for namespaces, containers and most parts of names.
pub fn dns1123_label(text: &str) -> Vec<String> {
    let mut problems = too_long(text, DNS_LABEL_MAX, "characters");
    if !is_dns_label(text) {
        if is_dns_subdomain(text) {
            problems.push("must not contain dots".to_owned());
        } else {
            problems.push(pattern(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or \
                 '-', and must start and end with an alphanumeric character",
                DNS_LABEL,
                &["my-name", "123-abc"],
            ));
        }
    }
    problems
}

/// An RFC 1123 subdomain: the rule for the names of most objects.
pub fn dns1123_subdomain(text: &str) -> Vec<String> {
    let mut problems = too_long(text, DNS_SUBDOMAIN_MAX, "characters");
    if !is_dns_subdomain(text) {
        problems.push(subdomain_problem());
    }
    problems
}

/// An RFC 1035 label: the rule for the names of services.
pub fn dns1035_label(text: &str) -> Vec<String> {
    let mut problems = too_long(text, DNS_LABEL_MAX, "characters");
    if !is_dns_label(text) || !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        problems.push(pattern(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start \
             with an alphabetic character, and end with an alphanumeric character",
            "[a-z]([-a-z0-9]*[a-z0-9])?",
            &["my-name", "abc-123"],
        ));
    }
    problems
}

/// The rule for the keys of labels and annotations, and for finalizers: `name` or `domain/name`.
pub fn qualified_name(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let examples = &["MyName", "my.name", "123-abc"];
    let name = match text.split('/').collect::<Vec<_>>()[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".to_owned());
            } else {
                let mut prefix_problems = too_long(prefix, DNS_SUBDOMAIN_MAX, "bytes");
                if !is_dns_subdomain(prefix) {
                    prefix_problems.push(subdomain_problem());
                }
                problems.extend(prefix_problems.iter().map(|p| format!("prefix part {p}")));
            }
            name
        }
        _ => {
            return vec![format!(
                "a valid label key {} with an optional DNS subdomain prefix and '/' \
                 (e.g. 'example.com/MyName')",
                pattern(LABEL_KEY_RULE, LABEL_KEY, examples)
            )];
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    }
    let long = too_long(name, LABEL_MAX, "bytes");
    problems.extend(long.iter().map(|p| format!("name part {p}")));
    if !is_label_name(name) {
        let rule = pattern(LABEL_KEY_RULE, LABEL_KEY, examples);
        problems.push(format!("name part {rule}"));
    }
    problems
}

/// The rule for the values of labels.
pub fn label_value(text: &str) -> Vec<String> {
    let mut problems = too_long(text, LABEL_MAX, "bytes");
    if !text.is_empty() && !is_label_name(text) {
        problems.push(pattern(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' \
             or '.', and must start and end with an alphanumeric character",
            "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?",
            &["MyValue", "my_value", "12345"],
        ));
    }
    problems
}

/// The rule for the names of environment variables: any printable ASCII but `=`.
pub fn env_var_name(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if text.is_empty() {
        problems.push("environment variable name must be non-empty".to_owned());
    }
    if !text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'=') {
        problems.push(
            "a valid environment variable name must consist only of printable ASCII characters \
             other than '='"
                .to_owned(),
        );
    }
    problems
}

/// The rule for the keys of ConfigMaps and Secrets, which become file names.
pub fn config_map_key(text: &str) -> Vec<String> {
    let mut problems = too_long(text, DNS_SUBDOMAIN_MAX, "characters");
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if text.is_empty() || !text.bytes().all(good) {
        problems.push(pattern(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    match text {
        "." => problems.push("must not be '.'".to_owned()),
        ".." => problems.push("must not be '..'".to_owned()),
        _ if text.starts_with("..") => problems.push("must not start with '..'".to_owned()),
        _ => {}
    }
    problems
}

/// The rule for names that need only fit into a URL, such as those of RBAC roles.
pub fn path_segment(text: &str) -> Vec<String> {
    if matches!(text, "." | "..") {
        return vec![format!("may not be '{text}'")];
    }
    let bad = ["/", "%"].into_iter().filter(|part| text.contains(part));
    bad.map(|part| format!("may not contain '{part}'"))
        .collect()
}

/// The rule for the names of ports of a container.
pub fn port_name(text: &str) -> Vec<String> {
    let mut problems = too_long(text, 15, "characters");
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if text.is_empty() || !text.bytes().all(good) {
        problems.push(
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned(),
        );
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        problems.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        problems.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        problems.push("must not begin or end with a hyphen".to_owned());
    }
    problems
}

/// The name made from `metadata.generateName`: `base`, cut to 58 bytes, and five characters that
/// stand for `random`.
pub fn generate(base: &str, random: u64) -> String {
    let mut end = base.len().min(GENERATED_BASE_MAX);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = String::with_capacity(end + 5);
    name.push_str(&base[..end]);
    let mut rest = random;
    for _ in 0..5 {
        let letters = GENERATED_ALPHABET.len() as u64;
        name.push(char::from(GENERATED_ALPHABET[(rest % letters) as usize]));
        rest /= letters;
    }
    name
}

fn too_long(text: &str, max: usize, unit: &str) -> Vec<String> {
    if text.len() <= max {
        return Vec::new();
    }
    vec![format!("must be no more than {max} {unit}")]
}

/// A rule, examples that keep it, and the expression that decides.
fn pattern(rule: &str, expression: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|e| format!("'{e}', ")).collect();
    let examples = examples.join(" or ");
    format!("{rule} (e.g. {examples}regex used for validation is '{expression}')")
}

fn subdomain_problem() -> String {
    pattern(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
         '.', and must start and end with an alphanumeric character",
        DNS_SUBDOMAIN,
        &["example.com"],
    )
}

fn is_dns_label(text: &str) -> bool {
    let outer = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(outer)
        && bytes.last().is_some_and(outer)
        && bytes.iter().all(|b| outer(b) || *b == b'-')
}

fn is_dns_subdomain(text: &str) -> bool {
    text.split('.').all(is_dns_label)
}

fn is_label_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_have_no_problems() {
        assert!(dns1123_label("web-1").is_empty());
        assert!(dns1123_subdomain("web.example.com").is_empty());
        assert!(dns1035_label("web-1").is_empty());
        assert!(qualified_name("app.kubernetes.io/part_Of.x").is_empty());
        assert!(label_value("").is_empty() && label_value("v1.2_x").is_empty());
        assert!(env_var_name("1 strange-name").is_empty());
        assert!(config_map_key("nginx.conf").is_empty());
        assert!(path_segment("system:node").is_empty());
        assert!(port_name("http-1").is_empty());
    }

    #[test]
    fn bad_names_are_explained_as_kubernetes_does() {
        assert_eq!(dns1123_label("a.b"), ["must not contain dots"]);
        assert_eq!(
            dns1123_label("Web"),
            ["a lowercase RFC 1123 label must consist of lower case \
            alphanumeric characters or '-', and must start and end with an alphanumeric character \
            (e.g. 'my-name',  or '123-abc', regex used for validation is \
            '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"]
        );
        assert_eq!(
            dns1123_label(&"a".repeat(64)),
            ["must be no more than 63 characters"]
        );
        assert_eq!(
            dns1123_subdomain("a..b"),
            ["a lowercase RFC 1123 subdomain must consist of \
            lower case alphanumeric characters, '-' or '.', and must start and end with an \
            alphanumeric character (e.g. 'example.com', regex used for validation is \
            '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"]
        );
        assert_eq!(dns1035_label("1web").len(), 1);
        assert_eq!(
            qualified_name(""),
            [
                "name part must be non-empty",
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and \
             end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex \
             used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
            ]
        );
        assert_eq!(qualified_name("/x"), ["prefix part must be non-empty"]);
        assert!(qualified_name("a/b/c")[0].ends_with(
            "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ));
        assert_eq!(
            label_value(&"x".repeat(64)),
            ["must be no more than 63 bytes"]
        );
        assert_eq!(
            path_segment("a/b%"),
            ["may not contain '/'", "may not contain '%'"]
        );
        assert_eq!(path_segment(".."), ["may not be '..'"]);
        assert_eq!(config_map_key("..x"), ["must not start with '..'"]);
        assert_eq!(port_name("-1-").len(), 2);
    }

    #[test]
    fn generated_names_have_five_more_characters_and_fit_a_label() {
        let name = generate("web-", 123_456_789);
        assert!(name.starts_with("web-") && name.len() == 9, "{name}");
        assert_eq!(generate("web-", 123_456_789), name);
        assert_ne!(generate("web-", 123_456_788), name);
        let long = generate(&"x".repeat(80), 0);
        assert_eq!(long.len(), 63);
        assert!(dns1123_label(&long).is_empty());
    }
}
