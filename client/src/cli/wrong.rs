//! Wrong usage: one line that names what is wrong, and hints that name what would be right.

use std::fmt;
use std::path::PathBuf;

use super::values::BadValue;
use crate::error::Advice;
use crate::files::PlaceError;

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A flag, with its dashes.
    Flag(String),
    /// A variable of our environment.
    Variable(String),
    /// A key of a configuration file.
    Key {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "`{flag}`"),
            Self::Variable(name) => write!(f, "`{name}`"),
            Self::Key { file, key } => write!(f, "`{key}` in {}", file.display()),
        }
    }
}

/// What is wrong with how the program was called or configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UsageError {
    /// No flag has this name.
    #[error("`{flag}` is not a flag")]
    UnknownFlag {
        /// As it was written.
        flag: String,
        /// The flag that was probably meant.
        nearest: Option<String>,
    },
    /// The flag stands alone.
    #[error("{origin} has no value")]
    MissingValue {
        /// Where.
        origin: Origin,
    },
    /// The value does not parse.
    #[error("{origin}: `{value}` {}", bad.complaint)]
    BadValue {
        /// Where.
        origin: Origin,
        /// The value, without anything that could be secret.
        value: String,
        /// What is wrong with it.
        bad: Box<BadValue>,
    },
    /// CPU and memory do not go together on Fargate.
    #[error("{cpu} CPU units do not go with {memory} MiB of memory")]
    Size {
        /// CPU units.
        cpu: u32,
        /// MiB.
        memory: u32,
        /// The memory that goes with this CPU.
        allowed: String,
    },
    /// A variable is to be taken over that is not set here.
    #[error("{origin}: `{name}` is not set here, so there is no value to take over")]
    NotSet {
        /// Where.
        origin: Origin,
        /// The variable.
        name: String,
    },
    /// Both `--` and `--shell-command`.
    #[error("there are two commands: one in `--shell-command`, one after `--`")]
    TwoCommands,
    /// `proxy` or `ssh-config` without `--host`.
    #[error("no host is named")]
    NoHost,
    /// Two flags that each say what the connection is for.
    #[error("{} exclude each other", both(.one, .other))]
    TwoErrands {
        /// One.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// `--exec` without a program.
    #[error("`--exec` has no program")]
    NothingToExec,
    /// A connection for nothing but forwards, without any.
    #[error("nothing is forwarded")]
    NothingForwarded,
    /// `--output` where standard output is the remote's.
    #[error("`--output` is for listeners, and standard output is the session's")]
    OutputOfSession,
    /// `forward` with `--target` and `--service`.
    #[error("there are two targets: one in `--target`, one in `--service`")]
    TwoTargets,
    /// `forward` without a task is told what only a task of one's own can do.
    #[error("`{flag}` is for a task that is run, and with `{by}` none is")]
    NeedsTask {
        /// The flag.
        flag: String,
        /// What says that none is.
        by: &'static str,
    },
    /// A flag that goes with `--service` stands beside `--target`.
    #[error("`{flag}` says nothing to `--target`, which names a container itself")]
    OfService {
        /// The flag.
        flag: String,
    },
    /// `--via direct` beside `--target` or `--service`.
    #[error("`--via direct` does not go with `{by}`: the way to it is Systems Manager")]
    DirectBehindTarget {
        /// What names the target.
        by: &'static str,
    },
    /// A session goes to a TCP port.
    #[error("`{path}` is a socket, and sessions of Systems Manager go to TCP ports alone")]
    SocketBehindTarget {
        /// As it was written.
        path: String,
    },
    /// `--output` where standard output is the program's.
    #[error("`--output` is for listeners, and standard output is that of the program after `--`")]
    OutputOfChild,
    /// `stop` alone.
    #[error("no task is named")]
    NothingToStop,
    /// `describe` without a task.
    #[error("there is no task to describe")]
    NothingToDescribe,
    /// Two flags that say the same, or the opposite.
    #[error("{} exclude each other", both(.one, .other))]
    Exclude {
        /// One.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// `exec` is asked for a terminal, as docker's and kubectl's are, and for pipes.
    #[error("`{flag}` asks for a terminal, and `-T` for pipes")]
    TerminalAndPipes {
        /// As it was written.
        flag: &'static str,
    },
    /// `exec --no-shell` alone.
    #[error("`--no-shell` has no command")]
    NothingWithoutShell,
    /// `stop` with tasks, and with `--all`.
    #[error("tasks are named beside `--all` or `--everybody`")]
    TasksAndAll,
    /// Both `-cluster` and `--all-clusters`.
    #[error("one cluster is named beside `--all-clusters`")]
    ClusterAndAll,
    /// A bare word that is not a subcommand.
    #[error("`{word}` is not a subcommand")]
    UnknownSubcommand {
        /// The word.
        word: String,
        /// The subcommand that was probably meant.
        nearest: Option<String>,
    },
    /// Both `-n` and `--from`.
    #[error("there are two task definitions: one in `-n`, one in `--from`")]
    TwoOriginals,
    /// A flag that the subcommand has is given before it.
    #[error("`{flag}` stands before `{subcommand}`")]
    BeforeSubcommand {
        /// The flag.
        flag: String,
        /// The subcommand.
        subcommand: &'static str,
    },
    /// A flag of the login is given to another subcommand.
    #[error("`{flag}` says nothing to `{subcommand}`")]
    NotForSubcommand {
        /// The flag.
        flag: String,
        /// The subcommand.
        subcommand: &'static str,
    },
    /// A flag of `local` is given to the login.
    #[error("`{flag}` is a flag of `local`")]
    OnlyForLocal {
        /// The flag.
        flag: String,
    },
    /// A word that can be a subcommand, but not where it stands.
    #[error("`{word}` is one subcommand too many")]
    SecondSubcommand {
        /// The word.
        word: String,
    },
    /// A key of a file is unknown.
    #[error("`{key}` in {} is not a setting", file.display())]
    UnknownKey {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
        /// The key that was probably meant.
        nearest: Option<String>,
    },
    /// A project file sets what only the user may.
    #[error("`{key}` in {} is not for a project file to decide", file.display())]
    NotInProject {
        /// The file.
        file: PathBuf,
        /// The key.
        key: &'static str,
    },
    /// A file cannot be read or is not TOML.
    #[error("{} {problem}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong, as a predicate.
        problem: String,
    },
    /// Places that no copy goes between.
    #[error(transparent)]
    Places(PlaceError),
    /// Something else that clap found.
    #[error("{0}")]
    Other(String),
}

impl Advice for UsageError {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::UnknownFlag { nearest: Some(flag), .. } => format!("did you mean `{flag}`?"),
            Self::UnknownFlag { flag, nearest: None } => {
                format!(
                    "`fargate-login --help` lists the flags; if `{flag}` belongs to the command, put that after `--`"
                )
            }
            Self::MissingValue { origin: Origin::Flag(flag) } => {
                format!("write `{flag} VALUE`, or `{flag}=VALUE` if the value begins with `-`")
            }
            Self::MissingValue { .. } => "give it a value, or take it out".to_owned(),
            Self::BadValue { bad, .. } => bad.hint.clone(),
            Self::Size { cpu, allowed, .. } => format!("with {cpu} CPU units, memory can be {allowed}"),
            Self::NotSet { name, .. } => format!("give the value: `{name}=VALUE`"),
            Self::TwoCommands => {
                "keep `--` for a program and its arguments, `--shell-command` for a shell line".to_owned()
            }
            Self::NoHost => "write `--host NAME`: the word that will follow `ssh`".to_owned(),
            Self::TwoErrands { .. } => {
                "a connection is for a session, for nothing (`-N`), for one pipe (`-W`) or for a program here (`--exec`)"
                    .to_owned()
            }
            Self::NothingToExec => "write `--exec -- psql -h {host} -p {port}`".to_owned(),
            Self::NothingForwarded => {
                "name a forward: `-L 5432:db.internal:5432`, or `fargate-login forward 5432:db.internal:5432`".to_owned()
            }
            Self::OutputOfSession => "it goes with `-N`, or `fargate-login forward`".to_owned(),
            Self::TwoTargets => "name the one that is meant".to_owned(),
            Self::NeedsTask { by, .. } => {
                format!("without `{by}` a task is run, and it works; through a target that runs already, each SPEC is one port of one host")
            }
            Self::OfService { .. } => "it goes with `--service`".to_owned(),
            Self::DirectBehindTarget { by } => {
                format!("leave `--via` out; or leave `{by}` out, and a task is run that is reached directly")
            }
            Self::SocketBehindTarget { .. } => {
                "without `--target` and `--service` a task is run, whose sockets can be reached; or name HOST:HOSTPORT".to_owned()
            }
            Self::OutputOfChild => {
                "the program is told by FARGATE_LOGIN_FORWARD_1_HOST and _PORT, and by {host} and {port} in its arguments".to_owned()
            }
            Self::NothingToStop => {
                "write `fargate-login stop TASK...`, as `fargate-login ps` shows them, or `--all` for your own"
                    .to_owned()
            }
            Self::NothingToDescribe => {
                "write `fargate-login describe TASK`, as `fargate-login tasks` shows them".to_owned()
            }
            Self::NothingWithoutShell => "write `fargate-login exec --no-shell -- PROGRAM [ARGUMENT]...`".to_owned(),
            Self::ClusterAndAll | Self::Exclude { .. } | Self::TerminalAndPipes { .. } => "leave one of the two out".to_owned(),
            Self::TasksAndAll => "name tasks, or write `--all`, or `--all --everybody`".to_owned(),
            Self::UnknownSubcommand { word, nearest } => return subcommand_hints(word, nearest.as_deref()),
            Self::OnlyForLocal { flag } => format!("write `fargate-login local {flag} ...`"),
            Self::SecondSubcommand { word } => {
                format!("to run it in the container, put it after `--`: `fargate-login ... -- {word}`")
            }
            Self::BeforeSubcommand { flag, subcommand } => {
                format!("its flags come behind it: `fargate-login {subcommand} {flag} ...`")
            }
            Self::NotForSubcommand { subcommand, .. } => {
                format!("`fargate-login {subcommand} --help` lists the flags of `{subcommand}`")
            }
            Self::TwoOriginals => "`-n` runs it as it is, `--from` derives one from it: name one".to_owned(),
            Self::UnknownKey { nearest: Some(key), .. } => format!("did you mean `{key}`?"),
            Self::UnknownKey { nearest: None, .. } => {
                "settings have the names of the long flags, without the dashes: see `fargate-login --help`".to_owned()
            }
            Self::NotInProject { key: "env", .. } => {
                "write `NAME=VALUE`: values are taken over from here only by `--env NAME` or the user file".to_owned()
            }
            Self::NotInProject { .. } => {
                "put it into your own ~/.config/fargate-login/config.toml, or give the flag".to_owned()
            }
            Self::File { .. } => "a setting looks like `cluster = \"default\"`".to_owned(),
            Self::Places(error) => return error.hints(),
            Self::Other(_) => "see `fargate-login --help`".to_owned(),
        };
        vec![hint]
    }
}

fn both(one: &str, other: &str) -> String {
    // Only flags are quoted.
    let quoted = |name: &str| if name.starts_with('-') { format!("`{name}`") } else { name.to_owned() };
    format!("{} and {}", quoted(one), quoted(other))
}

/// Words that are values of flags whose value can be left out.
const OPTIONAL_VALUES: [&str; 4] = ["true", "false", "text", "json"];

fn subcommand_hints(word: &str, nearest: Option<&str>) -> Vec<String> {
    let mut hints: Vec<String> = nearest.map(|nearest| format!("did you mean `{nearest}`?")).into_iter().collect();
    hints.push(if OPTIONAL_VALUES.contains(&word) {
        "a value that can be left out needs a `=`: `--public=false`, `--timings=json`".to_owned()
    } else if word.contains(char::is_whitespace) {
        format!("to run it in the container, write `--shell-command '{word}'`")
    } else {
        format!("to run it in the container, put it after `--`: `fargate-login ... -- {word}`")
    });
    hints
}
