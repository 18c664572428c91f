//! Field selectors.

use std::fmt;

use super::comma_separated;

/// One condition of a field selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRequirement {
    /// The field, such as `metadata.name`.
    pub field: String,
    /// Whether the field must differ from the value.
    pub negated: bool,
    /// The value, unescaped.
    pub value: String,
}

impl fmt::Display for FieldRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = if self.negated { "!=" } else { "=" };
        write!(f, "{}{operator}", self.field)?;
        for c in self.value.chars() {
            if matches!(c, '\\' | ',' | '=') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        Ok(())
    }
}

/// A field selector. The empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    requirements: Vec<FieldRequirement>,
}

impl Fields {
    /// Reads `metadata.name=web,status.phase!=Failed`. In values, `\`, `,` and `=` are escaped by `\`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut terms = split_terms(text);
        terms.sort_unstable();
        let mut requirements = Vec::new();
        for term in terms.into_iter().filter(|t| !t.is_empty()) {
            let at = term.char_indices().find_map(|(i, _)| {
                let operators = ["!=", "==", "="];
                let operator = operators.into_iter().find(|o| term[i..].starts_with(o))?;
                Some((i, operator))
            });
            let Some((at, operator)) = at else {
                return Err(format!(
                    "invalid selector: '{text}'; can't understand '{term}'"
                ));
            };
            let requirement = FieldRequirement {
                field: term[..at].to_owned(),
                negated: operator == "!=",
                value: unescape(&term[at + operator.len()..])?,
            };
            if !(requirement.field.is_empty() && requirement.value.is_empty()) {
                requirements.push(requirement);
            }
        }
        Ok(Self { requirements })
    }

    /// Whether all conditions hold. `value` gives a field's value; a field that it does not know
    /// counts as empty.
    pub fn matches<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements
            .iter()
            .all(|r| (value(&r.field).unwrap_or_default() == r.value) != r.negated)
    }

    /// The value that the selector asks of a field, if it allows only one.
    pub fn exact(&self, field: &str) -> Option<&str> {
        let exact = self.requirements.iter();
        let mut exact = exact.filter(|r| r.field == field && !r.negated);
        exact.next().map(|r| r.value.as_str())
    }

    /// Whether there is nothing to meet.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The conditions, all of which must hold.
    pub fn requirements(&self) -> &[FieldRequirement] {
        &self.requirements
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        comma_separated(f, &self.requirements)
    }
}

fn split_terms(text: &str) -> Vec<&str> {
    let (mut terms, mut start, mut escaped) = (Vec::new(), 0, false);
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn unescape(text: &str) -> Result<String, String> {
    let mut value = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => value.push(c),
                next => {
                    let next = next.map(String::from).unwrap_or_default();
                    return Err(format!(
                        "invalid field selector: invalid escape sequence: \\{next}"
                    ));
                }
            },
            ',' | '=' => {
                // Go prints the rune as a number.
                let code = u32::from(c);
                return Err(format!(
                    "invalid field selector: unescaped character in value: {code}"
                ));
            }
            c => value.push(c),
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_selectors_compare_and_unescape() {
        let fields = Fields::parse(r"metadata.name=a\,b,status.phase!=Failed").expect("a selector");
        let value = |phase: &'static str| {
            move |field: &str| match field {
                "metadata.name" => Some("a,b"),
                "status.phase" => Some(phase),
                _ => None,
            }
        };
        assert!(fields.matches(value("Running")) && !fields.matches(value("Failed")));
        assert_eq!(fields.exact("metadata.name"), Some("a,b"));
        assert_eq!(fields.exact("status.phase"), None);
        assert_eq!(
            fields.to_string(),
            r"metadata.name=a\,b,status.phase!=Failed"
        );
        assert!(Fields::parse("").expect("a selector").is_everything());
        assert!(
            Fields::parse("spec.nodeName=")
                .expect("a selector")
                .matches(|_| None)
        );
        assert_eq!(
            Fields::parse("bad"),
            Err("invalid selector: 'bad'; can't understand 'bad'".to_owned())
        );
        assert_eq!(
            Fields::parse("a=b=c"),
            Err("invalid field selector: unescaped character in value: 61".to_owned())
        );
        assert_eq!(
            Fields::parse(r"a=\b"),
            Err(r"invalid field selector: invalid escape sequence: \b".to_owned())
        );
    }
}
