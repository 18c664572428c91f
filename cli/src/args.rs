//! The command line: what every command shares, and parsing with the rules and words of kubectl.
//!
//! clap holds the definition of each command; [`parse`] bends it to the rules of pflag (a boolean may
//! be given as `--watch=false`, the last of repeated flags wins, a value may start with a dash) and
//! words its errors as kubectl does.

use std::any::TypeId;
use std::ffi::OsString;

use clap::builder::TypedValueParser as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args, Command, CommandFactory, FromArgMatches, Parser};

use crate::commands;

/// ctl controls a Kubernetes cluster: kubectl, command for command.
#[derive(Debug, Parser)]
#[command(
    name = "ctl",
    disable_version_flag = true,
    arg_required_else_help = true
)]
pub(crate) struct Line {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: commands::Command,
    /// Flags of every command.
    #[command(flatten)]
    pub(crate) global: Global,
}

/// The flags that every command accepts.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Username to impersonate: a user, or a service account in a namespace
    #[arg(long = "as", global = true, hide = true)]
    pub(crate) impersonate: Option<String>,
    /// Group to impersonate, repeatable
    #[arg(long, global = true, hide = true)]
    pub(crate) as_group: Vec<String>,
    /// UID to impersonate
    #[arg(long, global = true, hide = true)]
    pub(crate) as_uid: Option<String>,
    /// Extra of the impersonated user as key=value, repeatable
    #[arg(long, global = true, hide = true)]
    pub(crate) as_user_extra: Vec<String>,
    /// Directory of the discovery cache
    #[arg(long, global = true, hide = true)]
    pub(crate) cache_dir: Option<String>,
    /// File with the certificates of the authority that signed the server's
    #[arg(long, global = true, hide = true)]
    pub(crate) certificate_authority: Option<String>,
    /// File with the client certificate
    #[arg(long, global = true, hide = true)]
    pub(crate) client_certificate: Option<String>,
    /// File with the key of the client certificate
    #[arg(long, global = true, hide = true)]
    pub(crate) client_key: Option<String>,
    /// Cluster of the kubeconfig to use
    #[arg(long, global = true, hide = true)]
    pub(crate) cluster: Option<String>,
    /// Context of the kubeconfig to use
    #[arg(long, global = true, hide = true)]
    pub(crate) context: Option<String>,
    /// Don't ask the server to compress its answers
    #[arg(long, global = true, hide = true)]
    pub(crate) disable_compression: bool,
    /// Don't check the server's certificate: connections are not secure
    #[arg(long, global = true, hide = true)]
    pub(crate) insecure_skip_tls_verify: bool,
    /// Kubeconfig file to use
    #[arg(long, global = true, hide = true)]
    pub(crate) kubeconfig: Option<String>,
    /// Preferences file; accepted so that scripts work, preferences are not read
    #[arg(long, global = true, hide = true)]
    pub(crate) kuberc: Option<String>,
    /// Seconds between log flushes
    #[arg(long, global = true, hide = true)]
    pub(crate) log_flush_frequency: Option<String>,
    /// Fail when the server's version is not this program's
    #[arg(long, global = true, hide = true)]
    pub(crate) match_server_version: bool,
    /// Namespace of this request
    #[arg(long, short = 'n', global = true, hide = true)]
    pub(crate) namespace: Option<String>,
    /// Password for basic authentication
    #[arg(long, global = true, hide = true)]
    pub(crate) password: Option<String>,
    /// Profile to capture; accepted so that scripts work
    #[arg(long, global = true, hide = true)]
    pub(crate) profile: Option<String>,
    /// File of the profile
    #[arg(long, global = true, hide = true)]
    pub(crate) profile_output: Option<String>,
    /// Proxy for requests to the server
    #[arg(long, global = true, hide = true)]
    pub(crate) proxy_url: Option<String>,
    /// How long to wait for one request, such as 5s; 0 waits for ever
    #[arg(long, global = true, hide = true)]
    pub(crate) request_timeout: Option<String>,
    /// Address and port of the API server
    #[arg(long, short = 's', global = true, hide = true)]
    pub(crate) server: Option<String>,
    /// Name to expect in the server's certificate
    #[arg(long, global = true, hide = true)]
    pub(crate) tls_server_name: Option<String>,
    /// Bearer token
    #[arg(long, global = true, hide = true)]
    pub(crate) token: Option<String>,
    /// User of the kubeconfig to use
    #[arg(long, global = true, hide = true)]
    pub(crate) user: Option<String>,
    /// Username for basic authentication
    #[arg(long, global = true, hide = true)]
    pub(crate) username: Option<String>,
    /// Log level; 6 and above show requests
    #[arg(
        long = "v",
        short = 'v',
        global = true,
        hide = true,
        default_value_t = 0
    )]
    pub(crate) verbosity: i64,
    /// Log levels by file; accepted so that scripts work
    #[arg(long, global = true, hide = true)]
    pub(crate) vmodule: Option<String>,
    /// Treat warnings from the server as errors
    #[arg(long, global = true, hide = true)]
    pub(crate) warnings_as_errors: bool,
}

/// Files that name or hold objects.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Files {
    /// File, folder, URL or - that holds objects
    #[arg(long, short = 'f', value_delimiter = ',')]
    pub(crate) filename: Vec<String>,
    /// Kustomization directory; this program reads none
    #[arg(long, short = 'k')]
    pub(crate) kustomize: Option<String>,
    /// Read the folders below those of --filename too
    #[arg(long, short = 'R')]
    pub(crate) recursive: Option<bool>,
}

/// How objects are printed.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Print {
    /// Output format: json, yaml, kyaml, name, go-template, go-template-file, template, templatefile,
    /// jsonpath, jsonpath-as-json, jsonpath-file
    #[arg(long, short = 'o')]
    pub(crate) output: Option<String>,
    /// Template, or file with it, for -o go-template and jsonpath
    #[arg(long)]
    pub(crate) template: Option<String>,
    /// Treat keys that are missing in templates as empty
    #[arg(long, action = ArgAction::Set, default_value_t = true)]
    pub(crate) allow_missing_template_keys: bool,
    /// Keep metadata.managedFields in json and yaml output
    #[arg(long)]
    pub(crate) show_managed_fields: bool,
}

/// Whether a request changes anything.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct DryRunFlag {
    /// none, client (print what would be sent) or server (send, but store nothing)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "unchanged")]
    pub(crate) dry_run: Option<String>,
}

/// Whether a request changes anything, decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DryRun {
    /// It does.
    #[default]
    None,
    /// Nothing is sent.
    Client,
    /// The server checks and stores nothing.
    Server,
}

impl DryRun {
    /// What follows the verb in messages.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Client => " (dry run)",
            Self::Server => " (server dry run)",
        }
    }
}

impl DryRunFlag {
    /// The flag's value, or kubectl's complaint about it.
    pub(crate) fn get(&self) -> Result<DryRun, crate::error::Error> {
        match self.dry_run.as_deref() {
            None | Some("none") => Ok(DryRun::None),
            Some("client" | "unchanged") => Ok(DryRun::Client),
            Some("server") => Ok(DryRun::Server),
            Some(other) => Err(format!(
                "Invalid dry-run value ({other}). Must be \"none\", \"server\", or \"client\"."
            )
            .into()),
        }
    }
}

/// What stands in for a run: a complaint to print, or text that was asked for.
#[derive(Debug)]
pub(crate) enum Stop {
    /// To stderr, exit code 1.
    Complaint(String),
    /// To stdout, exit code 0.
    Text(String),
}

/// The whole command tree, bent to pflag's rules.
pub(crate) fn command() -> Command {
    adapt(Line::command())
}

/// Parses a command line.
pub(crate) fn parse(mut arguments: Vec<OsString>) -> Result<Line, Stop> {
    // `ctl help get` is `ctl get --help`.
    if arguments.get(1).is_some_and(|word| word == "help") {
        arguments.remove(1);
        arguments.push("--help".into());
    }
    let mut command = command();
    let matches = command
        .try_get_matches_from_mut(&arguments)
        .map_err(|error| explain(&error, &command, &arguments))?;
    Line::from_arg_matches(&matches).map_err(|error| explain(&error, &command, &arguments))
}

fn adapt(command: Command) -> Command {
    command
        .args_override_self(true)
        .disable_help_subcommand(true)
        .mut_args(adapt_flag)
        .mut_subcommands(adapt)
}

/// pflag's rules for one flag.
fn adapt_flag(arg: clap::Arg) -> clap::Arg {
    if arg.is_positional() || matches!(arg.get_action(), ArgAction::Help | ArgAction::HelpLong) {
        return arg;
    }
    let value = arg.get_value_parser().type_id();
    if value == TypeId::of::<bool>() {
        let arg = if matches!(arg.get_action(), ArgAction::SetTrue) {
            arg.default_value("false")
        } else {
            arg
        };
        return arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .hide_default_value(true)
            .hide_possible_values(true)
            .default_missing_value("true")
            .value_parser(clap::builder::StringValueParser::new().try_map(|s| go_bool(&s)));
    }
    if value == TypeId::of::<i64>() {
        let parser = clap::builder::StringValueParser::new().try_map(|s| go_int(&s));
        return arg.value_parser(parser).allow_hyphen_values(true);
    }
    if arg.is_require_equals_set() {
        return arg;
    }
    arg.allow_hyphen_values(true)
}

/// A boolean as Go's `strconv.ParseBool` reads it.
fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!(
            "strconv.ParseBool: parsing {text:?}: invalid syntax"
        )),
    }
}

fn go_int(text: &str) -> Result<i64, String> {
    text.parse::<i64>().map_err(|error| {
        let problem = match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                "value out of range"
            }
            _ => "invalid syntax",
        };
        format!("strconv.ParseInt: parsing {text:?}: {problem}")
    })
}

/// The words of kubectl for what clap found.
fn explain(error: &clap::Error, root: &Command, arguments: &[OsString]) -> Stop {
    let (path, command) = place(root, arguments);
    let see = format!("\nSee '{path} --help' for usage.");
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(s)) => s.clone(),
        _ => String::new(),
    };
    let message = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if path != "ctl" => {
            let help = error.render().to_string();
            return Stop::Complaint(help.trim_end().to_owned());
        }
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            return Stop::Text(error.render().to_string());
        }
        ErrorKind::UnknownArgument => {
            unknown_flag(&text(ContextKind::InvalidArg), command, arguments)
        }
        ErrorKind::InvalidSubcommand => {
            let name = text(ContextKind::InvalidSubcommand);
            if path == "ctl" {
                let near = suggestions(&name);
                let hint = if near.is_empty() {
                    String::new()
                } else {
                    format!("\n\nDid you mean this?\n\t{}", near.join("\n\t"))
                };
                return Stop::Complaint(format!(
                    "error: unknown command {name:?} for \"ctl\"{hint}"
                ));
            }
            let words = arguments.iter().filter_map(|a| a.to_str());
            let words: Vec<&str> = words
                .skip_while(|word| *word != name)
                .take_while(|word| !word.starts_with('-'))
                .collect();
            let name = words.join(" ");
            return Stop::Complaint(format!(
                "error: unknown command {name:?}\nSee '{path} -h' for help and examples"
            ));
        }
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let flag = text(ContextKind::InvalidArg);
            let value = text(ContextKind::InvalidValue);
            let long = long_name(&flag);
            if value.is_empty() && error.kind() == ErrorKind::InvalidValue {
                needs_argument(&long, command, arguments)
            } else {
                let problem = std::error::Error::source(error)
                    .map(ToString::to_string)
                    .unwrap_or_default();
                format!(
                    "invalid argument {value:?} for \"{}\" flag: {problem}",
                    both_names(&long, command)
                )
            }
        }
        _ => error
            .to_string()
            .trim_start_matches("error: ")
            .trim_end()
            .to_owned(),
    };
    Stop::Complaint(format!("error: {message}{see}"))
}

/// The sub-command that the arguments reach, with its path.
fn place<'a>(root: &'a Command, arguments: &[OsString]) -> (String, &'a Command) {
    let (mut path, mut command) = ("ctl".to_owned(), root);
    for word in arguments.iter().skip(1).filter_map(|a| a.to_str()) {
        if word == "--" {
            break;
        }
        let next = command
            .get_subcommands()
            .find(|c| c.get_name() == word || c.get_all_aliases().any(|a| a == word));
        if let Some(next) = next {
            command = next;
            path.push(' ');
            path.push_str(next.get_name());
        }
    }
    (path, command)
}

/// `--chunk-size` of `--chunk-size <CHUNK_SIZE>`.
fn long_name(display: &str) -> String {
    display
        .split([' ', '=', '['])
        .next()
        .unwrap_or_default()
        .trim_start_matches('-')
        .to_owned()
}

fn short_of(long: &str, command: &Command) -> Option<char> {
    command
        .get_arguments()
        .find(|a| a.get_long() == Some(long))
        .and_then(clap::Arg::get_short)
}

fn both_names(long: &str, command: &Command) -> String {
    match short_of(long, command) {
        Some(short) => format!("-{short}, --{long}"),
        None => format!("--{long}"),
    }
}

fn needs_argument(long: &str, command: &Command, arguments: &[OsString]) -> String {
    let last = arguments
        .last()
        .and_then(|a| a.to_str())
        .unwrap_or_default();
    match short_of(long, command) {
        Some(short) if !last.starts_with("--") => {
            format!("flag needs an argument: '{short}' in {last}")
        }
        _ => format!("flag needs an argument: --{long}"),
    }
}

fn unknown_flag(display: &str, command: &Command, arguments: &[OsString]) -> String {
    if display.starts_with("--") {
        return format!(
            "unknown flag: {}",
            display.split('=').next().unwrap_or(display)
        );
    }
    if let Some(short) = display.strip_prefix('-').and_then(|s| s.chars().next()) {
        let group = arguments
            .iter()
            .filter_map(|a| a.to_str())
            .find(|a| a.starts_with('-') && !a.starts_with("--") && a.contains(short))
            .unwrap_or(display);
        return format!("unknown shorthand flag: '{short}' in {group}");
    }
    let path = command.get_name();
    format!("unknown command {display:?} for \"ctl {path}\"")
}

/// kubectl's commands in the order of its help, which suggestions follow.
const KUBECTL: [&str; 41] = [
    "create",
    "expose",
    "run",
    "set",
    "explain",
    "get",
    "edit",
    "delete",
    "rollout",
    "scale",
    "autoscale",
    "certificate",
    "cluster-info",
    "top",
    "cordon",
    "uncordon",
    "drain",
    "taint",
    "describe",
    "logs",
    "attach",
    "exec",
    "port-forward",
    "proxy",
    "cp",
    "auth",
    "debug",
    "events",
    "diff",
    "apply",
    "patch",
    "replace",
    "wait",
    "kustomize",
    "label",
    "annotate",
    "completion",
    "api-resources",
    "api-versions",
    "config",
    "version",
];

/// Commands that are near to a name, in the order of the help: distance 2 or less, or a prefix.
fn suggestions(name: &str) -> Vec<String> {
    // A command that is rightly spelt, but not there yet, is no mistake to correct.
    if KUBECTL.contains(&name) {
        return Vec::new();
    }
    KUBECTL
        .into_iter()
        .filter(|known| distance(name, known) <= 2 || known.starts_with(&name.to_lowercase()))
        .map(str::to_owned)
        .collect()
}

/// The Levenshtein distance, without regard to case.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.chars().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(ca != cb))
                .min(above + 1)
                .min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.chars().count()]
}
