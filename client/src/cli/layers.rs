//! Settings that are not flags: `FARGATE_LOGIN_*` variables and configuration files, under the names of the long flags.
//!
//! Each setting is put before clap as the flag that it stands for: there is one definition and one parser of it.

use std::net::IpAddr;
use std::path::Path;

use clap::{Arg, ArgAction, Args, Command};

use super::flags::Flags;
use super::nearest::nearest;
use super::ssh_option::SshOption;
use super::translate;
use super::values::{BadValue, Variable};
use super::wrong::{Origin, UsageError};
use crate::forward::spec::{Bind, Listen};
use crate::options::Options;
use crate::options::file::{self, Setting};

/// Our environment, by name.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Flags for the command line only: what to run and which files to write must be seen where it is typed, and `--no-public` is a spelling.
const COMMAND_LINE_ONLY: [&str; 7] = ["shell-command", "exec", "output", "no-public", "put", "get", "get-when"];
/// Flags of which a higher source says one and so, for the lower one, all.
const RIVALS: [&[&str]; 2] = [&["task-definition", "from", "like-service"], &["quiet", "verbose"]];
/// `-v` says nothing new when it is given more often.
const MOST_TIMES: usize = 3;

/// User file, project file over it, variables over both.
///
/// # Errors
/// [`UsageError`] naming the variable, or the file and the key.
pub(super) fn below_the_flags(env: Env<'_>, cwd: &Path) -> Result<Options, UsageError> {
    let mut options = Options::default();
    let (user, project) = (file::user_file(env), file::project_file(cwd));
    for file in user.into_iter().chain(project.clone()) {
        let flags = of_file(&file)?;
        if Some(&file) == project.as_ref() {
            refuse_from_strangers(&flags, &file)?;
        }
        let origin = Origin::Key { file: file.clone(), key: "env".to_owned() };
        refuse_two_originals(&flags)?;
        options = with_values(flags, &origin, env)?.over(options);
    }
    let origin = Origin::Variable("FARGATE_LOGIN_ENV".to_owned());
    let flags = of_variables::<Flags>(env)?;
    refuse_two_originals(&flags)?;
    Ok(with_values(flags, &origin, env)?.over(options))
}

/// Of two sources the higher one wins; one source must not say both.
fn refuse_two_originals(flags: &Flags) -> Result<(), UsageError> {
    if flags.task_definition.is_some() && flags.from.is_some() { Err(UsageError::TwoOriginals) } else { Ok(()) }
}

/// A project file may come with somebody else's repository: it must not say where requests go, which host is trusted, who is let in,
/// which file is written, or which values of our environment are sent along. Its forwards listen on loopback alone.
fn refuse_from_strangers(flags: &Flags, file: &Path) -> Result<(), UsageError> {
    let trusts = |option: &SshOption| matches!(option, SshOption::StrictHostKeyChecking(_));
    let opens = |option: &SshOption| match option {
        SshOption::RemoteForward(_) | SshOption::ForwardAgent(true) | SshOption::GatewayPorts(true) => true,
        SshOption::LocalForward(forward) => !is_loopback(&forward.listen),
        SshOption::DynamicForward(listen) => !is_loopback(listen),
        _ => false,
    };
    let refused = [
        ("endpoint-url", flags.endpoint_url.is_some()),
        ("host-key", flags.host_key.is_some()),
        // Each says who is let in.
        ("allow-cidr", !flags.allow_cidr.is_empty()),
        ("my-ip-url", flags.my_ip_url.is_some()),
        // It runs in the container, with its secrets and its role.
        ("init-image", flags.init_image.is_some()),
        // A file of ours would hold what somebody else's repository says.
        ("record", flags.record.is_some()),
        ("ssh-option", flags.ssh_option.iter().any(trusts)),
        // They let the task, or others, in here.
        ("remote-forward", !flags.forwards.remote_forward.is_empty()),
        ("forward-agent", flags.forwards.forward_agent == Some(true)),
        ("local-forward", flags.forwards.local_forward.iter().any(|forward| !is_loopback(&forward.listen))),
        ("dynamic-forward", flags.forwards.dynamic_forward.iter().any(|listen| !is_loopback(listen))),
        ("ssh-option", flags.ssh_option.iter().any(opens)),
        ("env", flags.env.iter().any(|variable| matches!(variable, Variable::TakeOver(_)))),
    ];
    match refused.into_iter().find(|(_, given)| *given) {
        Some((key, _)) => Err(UsageError::NotInProject { file: file.to_owned(), key }),
        None => Ok(()),
    }
}

/// Whether only this machine can connect to it; a socket's file may stand anywhere, and is not for others to name.
fn is_loopback(listen: &Listen) -> bool {
    match listen {
        Listen::Tcp { bind: Bind::Unsaid, .. } => true,
        Listen::Tcp { bind: Bind::Address(address), .. } => {
            address.eq_ignore_ascii_case("localhost")
                || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        Listen::Tcp { bind: Bind::Every, .. } | Listen::Unix(_) => false,
    }
}

/// Gives variables that are to be taken over the value that they have here.
///
/// # Errors
/// [`UsageError::NotSet`].
pub(super) fn with_values(flags: Flags, origin: &Origin, env: Env<'_>) -> Result<Flags, UsageError> {
    let value = |variable| match variable {
        Variable::TakeOver(name) => match env(&name) {
            Some(value) => Ok(Variable::Set(name, value)),
            None => Err(UsageError::NotSet { origin: origin.clone(), name }),
        },
        set @ Variable::Set(..) => Ok(set),
    };
    let variables = flags.env.iter().cloned().map(value).collect::<Result<_, _>>()?;
    Ok(Flags { env: variables, ..flags })
}

/// What the environment sets. An empty variable is as good as none.
///
/// # Errors
/// [`UsageError`] naming the variable.
pub(super) fn of_variables<T: Args>(env: Env<'_>) -> Result<T, UsageError> {
    parse(settings_of::<T>().into_iter().filter_map(|arg| of_variable(arg, env)).collect())
}

/// What the environment sets, as flags of a login for another command line: those to stand before what is typed there, and those
/// behind it. What `is_given` there is left out, as it would win.
///
/// # Errors
/// [`UsageError`] naming the variable.
pub(super) fn tokens_of_variables(
    env: Env<'_>,
    is_given: &dyn Fn(&Arg) -> bool,
) -> Result<(Vec<String>, Vec<String>), UsageError> {
    let known = settings_of::<Flags>();
    let (mut before, mut behind) = (Vec::new(), Vec::new());
    for (arg, values, origin) in known.iter().cloned().filter_map(|arg| of_variable(arg, env)) {
        let rivals = RIVALS.iter().find(|rivals| rivals.contains(&name(&arg)));
        let is_rival = |other: &&Arg| rivals.is_some_and(|rivals| rivals.contains(&name(other)));
        let loses = is_given(&arg) || known.iter().filter(is_rival).any(is_given);
        let told = |bad| UsageError::BadValue { origin, value: values.join(","), bad: Box::new(bad) };
        match name(&arg) {
            // Each variable of its own wins or loses by itself.
            "env" => before.extend(tokens(&arg, &values).map_err(told)?),
            // As does each option; of several, the first one wins.
            "ssh-option" => behind.extend(tokens(&arg, &values).map_err(told)?),
            _ if loses => {}
            _ => behind.extend(tokens(&arg, &values).map_err(told)?),
        }
    }
    Ok((before, behind))
}

fn of_variable(arg: Arg, env: Env<'_>) -> Option<(Arg, Vec<String>, Origin)> {
    let variable = format!("FARGATE_LOGIN_{}", name(&arg).to_uppercase().replace('-', "_"));
    let text = env(&variable).filter(|text| !text.is_empty())?;
    // Lists with a delimiter are split by clap; the other lists hold `NAME=VALUE`, quoted as in a shell.
    let values = match shlex::split(&text) {
        Some(words) if is_list(&arg) && arg.get_value_delimiter().is_none() => words,
        _ => vec![text],
    };
    Some((arg, values, Origin::Variable(variable)))
}

fn of_file(path: &Path) -> Result<Flags, UsageError> {
    let read = file::read(path);
    let settings = read.map_err(|error| UsageError::File { file: path.to_owned(), problem: error.to_string() })?;
    let known = settings_of::<Flags>();
    let given = |Setting { key, values }| {
        let Some(arg) = known.iter().find(|arg| name(arg) == key) else {
            let nearest = nearest(&key, known.iter().map(name)).map(str::to_owned);
            return Err(UsageError::UnknownKey { file: path.to_owned(), key, nearest });
        };
        Ok((arg.clone(), values, Origin::Key { file: path.to_owned(), key }))
    };
    parse(settings.into_iter().map(given).collect::<Result<_, _>>()?)
}

/// Reads settings as the flags that they stand for: first each alone, so that an error can say where it is, then all
/// together.
fn parse<T: Args>(given: Vec<(Arg, Vec<String>, Origin)>) -> Result<T, UsageError> {
    let mut all = Vec::new();
    for (arg, values, origin) in given {
        let tokens = match tokens(&arg, &values) {
            Ok(tokens) => tokens,
            Err(bad) => return Err(UsageError::BadValue { origin, value: values.join(","), bad: Box::new(bad) }),
        };
        parse_tokens::<T>(&tokens).map_err(|error| translate::of_value(&error, origin))?;
        all.extend(tokens);
    }
    parse_tokens(&all).map_err(|error| UsageError::Other(error.to_string()))
}

fn parse_tokens<T: Args>(tokens: &[String]) -> Result<T, clap::Error> {
    let command = T::augment_args(Command::new("fargate-login").no_binary_name(true).args_override_self(true));
    T::from_arg_matches(&command.try_get_matches_from(tokens)?)
}

fn tokens(arg: &Arg, values: &[String]) -> Result<Vec<String>, BadValue> {
    let flag = name(arg);
    match (arg.get_action(), values) {
        // `verbose = 2` is `-vv`.
        (ArgAction::Count, [times]) => match times.parse() {
            Ok(times) if times <= MOST_TIMES => Ok(vec![format!("--{flag}"); times]),
            _ => Err(BadValue::new("is not a level", format!("write a number from 0 to {MOST_TIMES}"))),
        },
        (_, [_, _, ..]) if !is_list(arg) => Err(BadValue::new("is a list", "this setting has one value")),
        _ => Ok(values.iter().map(|value| format!("--{flag}={value}")).collect()),
    }
}

fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

/// Flags with a long name that stand for settings.
fn settings_of<T: Args>() -> Vec<Arg> {
    let command = T::augment_args(Command::new(""));
    let is_setting = |arg: &&Arg| arg.get_long().is_some_and(|long| !COMMAND_LINE_ONLY.contains(&long));
    command.get_arguments().filter(is_setting).cloned().collect()
}

fn name(arg: &Arg) -> &str {
    arg.get_long().unwrap_or_default()
}
