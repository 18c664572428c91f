//! System call filters, compiled to BPF here, once per profile and set of capabilities.
//!
//! A profile may want different answers for different calls, and one compiled filter knows two. So a profile
//! becomes a stack of them: the first allows every call that has a rule and gives the default answer to the rest;
//! each further one gives one answer to its own calls and allows the rest. The kernel runs all of them and takes
//! the strictest answer; of several error numbers the one of the filter installed last.
//!
//! A call made through another architecture's entry (32-bit programs) ends the process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, sock_filter,
};
use serde::Deserialize;

use super::{Error, Seccomp};

mod profile;
mod syscalls;

/// Compiled filters, in the order in which they are installed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filters(Vec<Vec<sock_filter>>);

/// The rules of one answer: for each call the alternatives, none meaning "always".
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Compiles a profile for a container with these capabilities (Kubernetes' names). Empty without a filter.
pub(crate) fn compile(
    seccomp: &Seccomp,
    capabilities: &BTreeSet<String>,
) -> Result<Filters, Error> {
    match seccomp {
        Seccomp::Unconfined => Ok(Filters::default()),
        Seccomp::RuntimeDefault => default(capabilities).map_err(invalid),
        Seccomp::Localhost(path) => localhost(path, capabilities),
    }
}

fn invalid(error: impl std::fmt::Display) -> Error {
    Error::InvalidSpec(format!("seccomp profile: {error}"))
}

fn default(capabilities: &BTreeSet<String>) -> Result<Filters, seccompiler::Error> {
    let mut allowed = Rules::new();
    let mut allow = |names: &str| {
        for name in names.split_ascii_whitespace() {
            if let Some(number) = syscalls::number(name) {
                allowed.insert(number, Vec::new());
            }
        }
    };
    allow(profile::ALWAYS);
    for (capability, names) in profile::WITH_CAPABILITY {
        if capabilities.contains(*capability) {
            allow(names);
        }
    }
    let mut when = |name: &str, conditions: Vec<(SeccompCmpOp, u64)>| {
        let mut rules = Vec::new();
        for (operator, value) in conditions {
            let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, operator, value)?;
            rules.push(SeccompRule::new(vec![condition])?);
        }
        if let Some(number) = syscalls::number(name) {
            allowed.insert(number, rules);
        }
        Ok::<(), seccompiler::BackendError>(())
    };
    let same = |value| (SeccompCmpOp::Eq, value);
    when("socket", vec![(SeccompCmpOp::Ne, profile::AF_VSOCK)])?;
    when("personality", profile::PERSONALITIES.map(same).to_vec())?;
    let mut stack = Vec::new();
    if !capabilities.contains("SYS_ADMIN") {
        let no_namespace = SeccompCmpOp::MaskedEq(profile::NAMESPACE_FLAGS);
        when("clone", vec![(no_namespace, 0)])?;
        // Its flags are behind a pointer, where no filter looks: as if it did not exist, so that libraries use clone.
        if let Some(number) = syscalls::number("clone3") {
            allowed.insert(number, Vec::new());
            stack.push((
                Rules::from([(number, Vec::new())]),
                SeccompAction::Errno(libc::ENOSYS as u32),
            ));
        }
    }
    let mut filters = vec![program(
        allowed,
        SeccompAction::Errno(libc::EPERM as u32),
        SeccompAction::Allow,
    )?];
    for (rules, action) in stack {
        filters.push(program(rules, SeccompAction::Allow, action)?);
    }
    Ok(Filters(filters))
}

fn program(
    rules: Rules,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, seccompiler::Error> {
    let architecture = std::env::consts::ARCH.try_into()?;
    Ok(SeccompFilter::new(rules, otherwise, matched, architecture)?.try_into()?)
}

/// A profile file in Docker's form.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    default_action: String,
    default_errno_ret: Option<u32>,
    #[serde(default)]
    syscalls: Vec<FileRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileRule {
    names: Vec<String>,
    action: String,
    errno_ret: Option<u32>,
    args: Option<Vec<FileCondition>>,
    #[serde(default)]
    includes: FileScope,
    #[serde(default)]
    excludes: FileScope,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FileScope {
    caps: Vec<String>,
    arches: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileCondition {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

impl FileScope {
    fn names(&self, capabilities: &BTreeSet<String>) -> (bool, bool) {
        let short = |name: &String| name.trim_start_matches("CAP_").to_owned();
        let capability = self
            .caps
            .iter()
            .any(|name| capabilities.contains(&short(name)));
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        (
            capability,
            self.arches.iter().any(|name| name == architecture),
        )
    }
}

impl FileRule {
    fn applies(&self, capabilities: &BTreeSet<String>) -> bool {
        let (capability, architecture) = self.includes.names(capabilities);
        let (no_capability, no_architecture) = self.excludes.names(capabilities);
        (self.includes.caps.is_empty() || capability)
            && (self.includes.arches.is_empty() || architecture)
            && !no_capability
            && !no_architecture
    }

    fn conditions(&self) -> Result<Vec<SeccompCondition>, Error> {
        let args = self.args.iter().flatten();
        args.map(|arg| {
            let (operator, value) = match arg.op.as_str() {
                "SCMP_CMP_EQ" => (SeccompCmpOp::Eq, arg.value),
                "SCMP_CMP_NE" => (SeccompCmpOp::Ne, arg.value),
                "SCMP_CMP_LT" => (SeccompCmpOp::Lt, arg.value),
                "SCMP_CMP_LE" => (SeccompCmpOp::Le, arg.value),
                "SCMP_CMP_GT" => (SeccompCmpOp::Gt, arg.value),
                "SCMP_CMP_GE" => (SeccompCmpOp::Ge, arg.value),
                // Docker's `value` is the mask, `valueTwo` what must be left.
                "SCMP_CMP_MASKED_EQ" => (SeccompCmpOp::MaskedEq(arg.value), arg.value_two),
                other => return Err(invalid(format!("unknown operator {other:?}"))),
            };
            SeccompCondition::new(arg.index, SeccompCmpArgLen::Qword, operator, value)
                .map_err(invalid)
        })
        .collect()
    }
}

fn localhost(path: &Path, capabilities: &BTreeSet<String>) -> Result<Filters, Error> {
    let bytes =
        std::fs::read(path).map_err(|error| invalid(format!("{}: {error}", path.display())))?;
    let file: File = serde_json::from_slice(&bytes)
        .map_err(|error| invalid(format!("{}: {error}", path.display())))?;
    let otherwise = action(&file.default_action, file.default_errno_ret)?;
    let mut explicit = Rules::new();
    let mut answers: Vec<(SeccompAction, Rules)> = Vec::new();
    for rule in file
        .syscalls
        .iter()
        .filter(|rule| rule.applies(capabilities))
    {
        let answer = action(&rule.action, rule.errno_ret)?;
        let conditions = rule.conditions()?;
        for number in rule.names.iter().filter_map(|name| syscalls::number(name)) {
            add(&mut explicit, number, &conditions)?;
            if answer != SeccompAction::Allow {
                let place = answers.iter().position(|(other, _)| *other == answer);
                let place = place.unwrap_or_else(|| {
                    answers.push((answer.clone(), Rules::new()));
                    answers.len() - 1
                });
                add(&mut answers[place].1, number, &conditions)?;
            }
        }
    }
    let mut filters = Vec::new();
    if otherwise != SeccompAction::Allow {
        filters.push(program(explicit, otherwise, SeccompAction::Allow).map_err(invalid)?);
    }
    for (answer, rules) in answers {
        filters.push(program(rules, SeccompAction::Allow, answer).map_err(invalid)?);
    }
    Ok(Filters(filters))
}

/// Adds an alternative for a call; a rule without conditions makes all others of the call superfluous.
fn add(rules: &mut Rules, number: i64, conditions: &[SeccompCondition]) -> Result<(), Error> {
    if conditions.is_empty() {
        rules.insert(number, Vec::new());
        return Ok(());
    }
    let rule = SeccompRule::new(conditions.to_vec()).map_err(invalid)?;
    match rules.entry(number) {
        std::collections::btree_map::Entry::Vacant(entry) => {
            entry.insert(vec![rule]);
        }
        std::collections::btree_map::Entry::Occupied(mut entry) => {
            if !entry.get().is_empty() {
                entry.get_mut().push(rule);
            }
        }
    }
    Ok(())
}

fn action(name: &str, errno: Option<u32>) -> Result<SeccompAction, Error> {
    Ok(match name {
        "SCMP_ACT_ALLOW" => SeccompAction::Allow,
        "SCMP_ACT_ERRNO" => SeccompAction::Errno(errno.unwrap_or(libc::EPERM as u32)),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => SeccompAction::KillThread,
        "SCMP_ACT_KILL_PROCESS" => SeccompAction::KillProcess,
        "SCMP_ACT_LOG" => SeccompAction::Log,
        "SCMP_ACT_TRAP" => SeccompAction::Trap,
        other => return Err(invalid(format!("unsupported action {other:?}"))),
    })
}

impl Filters {
    /// Installs the filters in the calling process; they can't be taken off again.
    ///
    /// Needs CAP_SYS_ADMIN, or no-new-privileges. Allocates nothing, so it can run right after a fork.
    pub(crate) fn install(&self) -> std::io::Result<()> {
        for filter in &self.0 {
            let program = libc::sock_fprog {
                len: filter.len() as libc::c_ushort,
                // seccompiler's instruction is the kernel's, as is libc's.
                filter: filter.as_ptr() as *mut libc::sock_filter,
            };
            // SAFETY: the program points to `len` instructions that live through the call; the kernel only reads them.
            let result = unsafe {
                libc::syscall(
                    libc::SYS_seccomp,
                    libc::SECCOMP_SET_MODE_FILTER,
                    0,
                    &raw const program,
                )
            };
            if result != 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_profile_compiles_with_and_without_administration() {
        let none = default(&BTreeSet::new()).expect("compiles");
        assert_eq!(none.0.len(), 2, "clone3 has an answer of its own");
        let admin = default(&BTreeSet::from(["SYS_ADMIN".to_owned()])).expect("compiles");
        assert_eq!(admin.0.len(), 1);
    }

    #[test]
    fn a_profile_file_is_read_as_docker_reads_it() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("profile.json");
        std::fs::write(
            &path,
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
                {"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":13},
                {"names":["reboot"],"action":"SCMP_ACT_KILL_PROCESS"}]}"#,
        )
        .expect("written");
        let filters = localhost(&path, &BTreeSet::new()).expect("compiles");
        assert_eq!(filters.0.len(), 2);
    }

    #[test]
    fn an_unknown_action_is_refused() {
        assert!(action("SCMP_ACT_DANCE", None).is_err());
    }
}
