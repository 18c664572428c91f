//! The options of requests: what `ListOptions`, `CreateOptions` and their like say, checked.

use api::field::{self, Path};
use api::kind::Kind;
use api::meta::selector::{Fields, Labels};
use api::meta::validate;
use serde_json::{Value, json};
use store::Revision;

use crate::error::{Error, Result};
use crate::query::Query;

/// Which objects a list or watch wants. Empty parts want everything.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// The namespace.
    pub(crate) namespace: String,
    /// The name, where the field selector leaves only one.
    pub(crate) name: String,
    /// The labels.
    pub(crate) labels: Labels,
    /// The fields.
    pub(crate) fields: Fields,
}

impl Selection {
    /// What `labelSelector` and `fieldSelector` say, below a namespace.
    pub(crate) fn parse(kind: &dyn Kind, namespace: &str, query: &Query) -> Result<Self> {
        let labels = Labels::parse(query.text("labelSelector")).map_err(|why| {
            // What stands between requirements belongs to none of them.
            let between = ["'end of string'", "identifier after ','"];
            let told = why.starts_with("unable to parse");
            Error::bad_request(match told || between.iter().any(|end| why.ends_with(end)) {
                true => why,
                false => format!("unable to parse requirement: {why}"),
            })
        })?;
        let fields = Fields::parse(query.text("fieldSelector")).map_err(Error::bad_request)?;
        let known = kind.fields(&Value::Null);
        for requirement in fields.requirements() {
            let field = requirement.field.as_str();
            let common = matches!(field, "metadata.name" | "metadata.namespace");
            if common || known.iter().any(|(name, _)| *name == field) {
                continue;
            }
            return Err(Error::bad_request(match known.is_empty() {
                true => format!(
                    "{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                ),
                false => format!("field label not supported: {field}"),
            }));
        }
        Ok(Self {
            namespace: match namespace {
                "" => fields
                    .exact("metadata.namespace")
                    .unwrap_or_default()
                    .to_owned(),
                namespace => namespace.to_owned(),
            },
            name: fields.exact("metadata.name").unwrap_or_default().to_owned(),
            labels,
            fields,
        })
    }

    /// Whether nothing but the namespace restricts it.
    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }
}

/// How `resourceVersion` is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// The newest state.
    Newest,
    /// Any state that is not older than the revision.
    NotOlderThan(Revision),
    /// The state at the revision.
    Exact(Revision),
}

/// The options of a list.
#[derive(Clone, Debug)]
pub(crate) struct ListOptions {
    /// Which objects.
    pub(crate) selection: Selection,
    /// How many at most, 0 for all.
    pub(crate) limit: usize,
    /// The token of the previous page, or empty.
    pub(crate) token: String,
    /// Which state.
    pub(crate) state: Match,
}

impl ListOptions {
    /// Reads and checks them.
    pub(crate) fn parse(kind: &dyn Kind, namespace: &str, query: &Query) -> Result<Self> {
        let selection = Selection::parse(kind, namespace, query)?;
        let limit = query.integer("limit")?.unwrap_or(0);
        query.integer("timeoutSeconds")?;
        let version = query.text("resourceVersion");
        let matching = query.text("resourceVersionMatch");
        let token = query.text("continue").to_owned();
        let mut problems = Vec::new();
        let path = Path::new("resourceVersionMatch");
        if !matching.is_empty() {
            if version.is_empty() {
                problems.push(field::Error::forbidden(
                    &path,
                    "resourceVersionMatch is forbidden unless resourceVersion is provided",
                ));
            }
            if !token.is_empty() {
                problems.push(field::Error::forbidden(
                    &path,
                    "resourceVersionMatch is forbidden when continue is provided",
                ));
            }
            if !matches!(matching, "Exact" | "NotOlderThan") {
                problems.push(unsupported(&path, matching, &["Exact", "NotOlderThan", ""]));
            }
            if matching == "Exact" && version == "0" {
                problems.push(field::Error::forbidden(
                    &path,
                    "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
                ));
            }
        }
        if query.first("sendInitialEvents").is_some() {
            problems.push(field::Error::forbidden(
                &Path::new("sendInitialEvents"),
                "sendInitialEvents is forbidden for list",
            ));
        }
        check("ListOptions", problems)?;
        if !token.is_empty() && !matches!(version, "" | "0") {
            return Err(Error::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        let revision = revision(version)
            .map_err(|why| Error::bad_request(format!("invalid resource version: {why}")))?;
        let state = match (revision, matching) {
            (None, _) => Match::Newest,
            (Some(revision), "Exact") => Match::Exact(revision),
            (Some(revision), "") if limit > 0 && revision > 0 => Match::Exact(revision),
            (Some(revision), _) => Match::NotOlderThan(revision),
        };
        Ok(Self {
            selection,
            limit: usize::try_from(limit).unwrap_or(0),
            token,
            state,
        })
    }
}

/// The options of a watch.
#[derive(Clone, Debug)]
pub(crate) struct WatchOptions {
    /// Which objects.
    pub(crate) selection: Selection,
    /// The revision after which events are wanted; `None` to begin with the newest state.
    pub(crate) after: Option<Revision>,
    /// Whether the state comes first, as events, and ends with a bookmark.
    pub(crate) initial: bool,
    /// Whether bookmarks are wanted.
    pub(crate) bookmarks: bool,
    /// After how many seconds the watch ends.
    pub(crate) timeout: Option<u64>,
}

impl WatchOptions {
    /// Reads and checks them.
    pub(crate) fn parse(kind: &dyn Kind, namespace: &str, query: &Query) -> Result<Self> {
        let selection = Selection::parse(kind, namespace, query)?;
        let matching = query.text("resourceVersionMatch");
        let initial = query.first("sendInitialEvents");
        query.integer("limit")?;
        let mut problems = Vec::new();
        let path = Path::new("resourceVersionMatch");
        if !query.text("continue").is_empty() {
            problems.push(field::Error::forbidden(
                &path,
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
        if initial.is_some() && matching != "NotOlderThan" {
            problems.push(field::Error::forbidden(
                &path,
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ));
        }
        if !matching.is_empty() {
            if initial.is_none() {
                problems.push(field::Error::forbidden(
                    &path,
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                ));
            }
            if matching != "NotOlderThan" {
                problems.push(unsupported(&path, matching, &["NotOlderThan"]));
            }
        }
        check("ListOptions", problems)?;
        let version = query.text("resourceVersion");
        let after = revision(version).map_err(Error::bad_request)?;
        let initial = initial.is_some() && query.flag("sendInitialEvents");
        let timeout = query.integer("timeoutSeconds")?;
        Ok(Self {
            selection,
            after: after.filter(|&revision| revision > 0),
            initial,
            bookmarks: query.flag("allowWatchBookmarks"),
            // Time that has run out before it began ends the watch at once.
            timeout: timeout
                .filter(|&seconds| seconds != 0)
                .map(|seconds| u64::try_from(seconds).unwrap_or(0)),
        })
    }
}

/// How strictly unknown and duplicate fields of a body are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validation {
    /// They refuse the request.
    Strict,
    /// They are told in `Warning` headers. The default.
    Warn,
    /// Nothing is said.
    Ignore,
}

/// The options of a request that writes an object.
#[derive(Clone, Debug)]
pub(crate) struct WriteOptions {
    /// Whether all is done but the storing.
    pub(crate) dry_run: bool,
    /// Who owns the fields that are set; empty to derive it from the client's name.
    pub(crate) manager: String,
    /// How unknown fields are taken.
    pub(crate) validation: Validation,
    /// Whether an apply takes fields from other managers.
    pub(crate) force: Option<bool>,
}

impl WriteOptions {
    /// Reads and checks them. `kind` is the options' own name, such as `CreateOptions`.
    pub(crate) fn parse(kind: &str, query: &Query) -> Result<Self> {
        let mut problems = dry_run_problems(&query.all("dryRun").collect::<Vec<_>>());
        let manager = query.text("fieldManager");
        problems.extend(validate::field_manager(manager, &Path::new("fieldManager")));
        let validation = match query.text("fieldValidation") {
            "" | "Warn" => Validation::Warn,
            "Strict" => Validation::Strict,
            "Ignore" => Validation::Ignore,
            other => {
                let path = Path::new("fieldValidation");
                let allowed = ["", "Ignore", "Strict", "Warn"];
                problems.push(field::Error::not_supported(&path, other, &allowed));
                Validation::Warn
            }
        };
        let force = query.first("force").map(|_| query.flag("force"));
        check(kind, problems)?;
        Ok(Self {
            dry_run: query.first("dryRun").is_some(),
            manager: manager.to_owned(),
            validation,
            force,
        })
    }
}

/// How the dependents of a deleted object are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    /// They stay, without an owner.
    Orphan,
    /// They go after it.
    Background,
    /// They go before it.
    Foreground,
}

/// The options of a deletion.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    /// Whether all is done but the deleting.
    pub(crate) dry_run: bool,
    /// Seconds that the object has to end, where its kind ends gracefully.
    pub(crate) grace: Option<i64>,
    /// What becomes of dependents; `None` for the kind's default.
    pub(crate) propagation: Option<Propagation>,
    /// The uid that the object must have.
    pub(crate) uid: Option<String>,
    /// The resourceVersion that the object must have.
    pub(crate) resource_version: Option<String>,
}

impl DeleteOptions {
    /// Reads and checks them: from the body if there is one, else from the query.
    pub(crate) fn parse(query: &Query, body: Option<&Value>) -> Result<Self> {
        let given = match body {
            Some(body) => body.clone(),
            None => Self::of_query(query)?,
        };
        let dry_run: Vec<&str> = api::meta::list(&given["dryRun"])
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let mut problems = Vec::new();
        let path = Path::new("propagationPolicy");
        let policy = given["propagationPolicy"].as_str();
        if let (Some(policy), Some(_)) = (policy, given["orphanDependents"].as_bool()) {
            problems.push(field::Error::invalid(
                &path,
                policy,
                "orphanDependents and deletionPropagation cannot be both set",
            ));
        }
        let propagation = match (policy, given["orphanDependents"].as_bool()) {
            (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
            (Some("Foreground"), _) => Some(Propagation::Foreground),
            (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
            (None, None) => None,
            (Some(other), _) => {
                let allowed = ["Foreground", "Background", "Orphan", "nil"];
                problems.push(unsupported(&path, other, &allowed));
                None
            }
        };
        problems.extend(dry_run_problems(&dry_run));
        check("DeleteOptions", problems)?;
        let precondition = |field: &str| given["preconditions"][field].as_str().map(str::to_owned);
        Ok(Self {
            dry_run: !dry_run.is_empty(),
            grace: given["gracePeriodSeconds"].as_i64(),
            propagation,
            uid: precondition("uid"),
            resource_version: precondition("resourceVersion"),
        })
    }

    fn of_query(query: &Query) -> Result<Value> {
        let mut given = json!({ "dryRun": query.all("dryRun").collect::<Vec<_>>() });
        if let Some(grace) = query.integer("gracePeriodSeconds")? {
            given["gracePeriodSeconds"] = grace.into();
        }
        if let Some(policy) = query.first("propagationPolicy") {
            given["propagationPolicy"] = policy.into();
        }
        if query.first("orphanDependents").is_some() {
            given["orphanDependents"] = query.flag("orphanDependents").into();
        }
        Ok(given)
    }
}

/// A revision as it stands in a request: empty is none.
pub(crate) fn revision(text: &str) -> std::result::Result<Option<Revision>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let quoted = field::go_quoted(text);
        format!(
            "resourceVersion: Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: invalid syntax"
        )
    })
}

fn check(kind: &str, problems: Vec<field::Error>) -> Result<()> {
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Error::invalid_options(kind, &problems)),
    }
}

fn dry_run_problems(values: &[&str]) -> Vec<field::Error> {
    if values.iter().all(|value| *value == "All") {
        return Vec::new();
    }
    let path = Path::new("dryRun");
    vec![field::Error::not_supported(&path, json!(values), &["All"])]
}

/// A value outside of `allowed`, which here, unlike elsewhere, are listed as they stand.
fn unsupported(path: &Path, value: &str, allowed: &[&str]) -> field::Error {
    let list: Vec<String> = allowed.iter().map(|v| format!("{v:?}")).collect();
    field::Error::with_value(
        field::Reason::NotSupported,
        path,
        value,
        format!("supported values: {}", list.join(", ")),
    )
}
