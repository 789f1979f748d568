//! The help screens: made from the same definitions that parse, grouped by headings, at most 100 columns wide.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use clap::{Arg, Command};

use crate::argv::ANCESTORS;

/// Headings, in the order in which they appear.
pub(super) const TASK: &str = "Task";
pub(super) const ANY_IMAGE: &str = "Any image";
pub(super) const SESSION: &str = "Session";
pub(super) const LIMITS: &str = "Limits";
pub(super) const AWS: &str = "AWS";
pub(super) const LOCAL: &str = "Stand-in";
pub(super) const OTHER: &str = "Other";
const HEADINGS: [&str; 7] = [TASK, ANY_IMAGE, SESSION, LIMITS, AWS, LOCAL, OTHER];

/// Lines are no longer than this.
const WIDTH: usize = 100;
/// Column at which what a flag does begins: behind the longest flag.
const TEXT_COLUMN: usize = 36;
const HEADING: Style = AnsiColor::Yellow.on_default().bold();
const FLAG: Style = AnsiColor::Green.on_default();

const USAGE: &str = "fargate-login [FLAGS] [-- COMMAND [ARGUMENT]...]\nfargate-login local|ps|stop|gc [FLAGS]";
const LOCAL_USAGE: &str = "fargate-login local [FLAGS]";
const GC_USAGE: &str = "fargate-login gc [FLAGS]";
const PS_USAGE: &str = "fargate-login ps [FLAGS]";
const STOP_USAGE: &str = "fargate-login stop TASK... [FLAGS]\nfargate-login stop --all [--everybody] [FLAGS]";

const SUBCOMMANDS: &str = "login  run a task and log in to it: what happens without a subcommand
local  serve a local stand-in for AWS until a signal
ps     show the tasks that earlier logins have started and that still run
stop   stop some of them
gc     take away what earlier runs left: tasks, rules that let them in, task definitions";

const EXAMPLES: &str = "a shell            fargate-login -n bastion -sn subnet-0a1b2c -sg sg-0d1e2f
one job            fargate-login -n app -sn subnet-0a1b2c -- bin/rails db:migrate
a shell line       fargate-login -n app -sn subnet-0a1b2c --shell-command 'env | sort'
like a service     fargate-login --like-service web -cluster shop -- bin/rails console
what would happen  fargate-login -n app -sn subnet-0a1b2c --dry-run
without AWS        fargate-login --local -n test-cli";
const LOCAL_EXAMPLES: &str = "on another port    fargate-login local --listen 127.0.0.1:4600 --latency fargate
and from there     fargate-login --endpoint-url http://127.0.0.1:4600 -n test-cli -sn subnet-1";

const GC_EXAMPLES: &str = "what would happen  fargate-login gc --dry-run";
const PS_EXAMPLES: &str = "in one cluster     fargate-login ps -cluster tools
for a program      fargate-login ps --all-clusters -o json";
const STOP_EXAMPLES: &str = "one task           fargate-login stop 0123456789ab -cluster tools
your own           fargate-login stop --all";

const SOURCES: &str = "Every flag with a long name but --shell-command can also be set as FARGATE_LOGIN_NAME (as in
FARGATE_LOGIN_SECURITY_GROUPS=sg-0d1e2f), or by that name in .fargate-login.toml, looked for upward from here, or in
~/.config/fargate-login/config.toml; the first of these that has it wins.
-sg, -sn, -public, -cluster and -cli-container-name may have one dash or two.";

const EXIT_STATUS: &str = "that of the command; 128+n when signal n ended it; 255 when we failed; 2 for wrong usage";

/// The screen of the login.
pub(super) fn login(command: &Command) -> String {
    let mut text = format!("{}\n\n", command.get_about().map(ToString::to_string).unwrap_or_default());
    section(&mut text, "Usage", USAGE);
    section(&mut text, "Examples", EXAMPLES);
    flags(&mut text, command);
    section(&mut text, "Subcommands", SUBCOMMANDS);
    section(&mut text, "Settings", &wrap(SOURCES, WIDTH - 2).join("\n"));
    section(&mut text, "Exit status", EXIT_STATUS);
    text.trim_end().to_owned() + "\n"
}

/// The screen of `local`.
pub(super) fn local(command: &Command) -> String {
    small(command, LOCAL_USAGE, LOCAL_EXAMPLES)
}

/// The screen of `gc`.
pub(super) fn gc(command: &Command) -> String {
    small(command, GC_USAGE, GC_EXAMPLES)
}

/// The screen of `ps`.
pub(super) fn ps(command: &Command) -> String {
    small(command, PS_USAGE, PS_EXAMPLES)
}

/// The screen of `stop`.
pub(super) fn stop(command: &Command) -> String {
    small(command, STOP_USAGE, STOP_EXAMPLES)
}

fn small(command: &Command, usage: &str, examples: &str) -> String {
    let mut text = format!("{}\n\n", command.get_about().map(ToString::to_string).unwrap_or_default());
    section(&mut text, "Usage", usage);
    section(&mut text, "Examples", examples);
    flags(&mut text, command);
    text.trim_end().to_owned() + "\n"
}

fn section(text: &mut String, heading: &str, body: &str) {
    put(text, format_args!("{HEADING}{heading}:{HEADING:#}\n"));
    for line in body.lines() {
        put(text, format_args!("  {line}\n"));
    }
    text.push('\n');
}

fn flags(text: &mut String, command: &Command) {
    // clap adds its own two only when it builds the command.
    let (help, version) = (Arg::new("help").short('h').long("help"), Arg::new("version").short('V').long("version"));
    let own =
        [help.help("Print this"), version.help("Print the version")].map(|arg| arg.num_args(0).help_heading(OTHER));
    let shown: Vec<&Arg> = command.get_arguments().chain(&own).filter(|arg| !arg.is_hide_set()).collect();
    for heading in HEADINGS {
        let of_heading: Vec<&&Arg> = shown.iter().filter(|arg| arg.get_help_heading() == Some(heading)).collect();
        if of_heading.is_empty() || of_heading.iter().all(|arg| arg.is_positional()) {
            continue;
        }
        put(text, format_args!("{HEADING}{heading}:{HEADING:#}\n"));
        for arg in of_heading.iter().filter(|arg| !arg.is_positional()) {
            flag(text, arg);
        }
        text.push('\n');
    }
}

fn flag(text: &mut String, arg: &Arg) {
    let name = spelling(arg);
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let gap = TEXT_COLUMN.saturating_sub(name.chars().count() + 2).max(1);
    put(text, format_args!("  {FLAG}{name}{FLAG:#}{:gap$}", ""));
    let lines = wrap(&help, WIDTH - TEXT_COLUMN);
    put(text, format_args!("{}\n", lines.join(&format!("\n{:TEXT_COLUMN$}", ""))));
}

/// `-n, --task-definition NAME`: short or ancestor's name, long name, value.
fn spelling(arg: &Arg) -> String {
    let ancestor = ANCESTORS.iter().find(|(name, long)| name.len() == 2 && arg.get_long() == Some(*long));
    let short = arg.get_short().map(String::from).or(ancestor.map(|(name, _)| (*name).to_owned()));
    let mut text = match (short, arg.get_long()) {
        (Some(short), Some(long)) => format!("{:<5}--{long}", format!("-{short},")),
        (Some(short), None) => format!("-{short}"),
        (None, long) => format!("     --{}", long.unwrap_or_default()),
    };
    let value = arg.get_value_names().and_then(|names| names.first()).filter(|_| takes_value(arg));
    let Some(value) = value else { return text };
    let can_be_left_out = arg.is_require_equals_set();
    // A switch whose value has no name of its own (clap takes the flag's) is mostly given without one.
    if can_be_left_out && value.as_str() == arg.get_id().as_str().to_uppercase() {
        return text;
    }
    let (before, after) = if can_be_left_out { ("[=", "]") } else { (" ", "") };
    text.push_str(&format!("{before}{value}{after}"));
    text
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), clap::ArgAction::Set | clap::ArgAction::Append)
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(arguments);
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::flags::Cli;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn every_flag_is_shown_within_the_width_and_clear_of_the_text() {
        let command = Cli::command();
        let of = |name| command.find_subcommand(name).expect("a subcommand");
        let screens = [
            (&command, plain(&login(&command))),
            (of("local"), plain(&local(of("local")))),
            (of("gc"), plain(&gc(of("gc")))),
            (of("ps"), plain(&ps(of("ps")))),
            (of("stop"), plain(&stop(of("stop")))),
        ];
        for (command, screen) in screens {
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_positional()) {
                let name = spelling(arg);
                assert!(screen.contains(&format!("  {name} ")), "{name}");
                assert!(name.chars().count() + 2 < TEXT_COLUMN, "{name}");
                assert!(arg.get_help().is_some_and(|help| !help.to_string().is_empty()), "{name}");
                assert!(arg.get_help_heading().is_some_and(|heading| HEADINGS.contains(&heading)), "{name}");
            }
            for line in screen.lines() {
                assert!(line.chars().count() <= WIDTH, "{line}");
            }
        }
    }
}
