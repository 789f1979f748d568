//! The help screens: made from the same definitions that parse, grouped by headings, at most 100 columns wide.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use clap::{Arg, Command};

use crate::argv::ANCESTORS;

/// Headings, in the order in which they appear.
pub(super) const TASK: &str = "Task";
pub(super) const ANY_IMAGE: &str = "Any image";
pub(super) const SESSION: &str = "Session";
pub(super) const FORWARDS: &str = "Forwards";
pub(super) const FILES: &str = "Files";
pub(super) const COPY: &str = "Copy";
pub(super) const LIMITS: &str = "Limits";
pub(super) const AWS: &str = "AWS";
pub(super) const LOCAL: &str = "Stand-in";
pub(super) const OPENSSH: &str = "OpenSSH";
pub(super) const OTHER: &str = "Other";
const HEADINGS: [&str; 10] = [OPENSSH, TASK, ANY_IMAGE, SESSION, FORWARDS, FILES, LIMITS, AWS, LOCAL, OTHER];

/// Lines are no longer than this.
const WIDTH: usize = 100;
/// Column at which what a flag does begins: behind the longest flag.
const TEXT_COLUMN: usize = 36;
const HEADING: Style = AnsiColor::Yellow.on_default().bold();
const FLAG: Style = AnsiColor::Green.on_default();

const USAGE: &str = "fargate-login [FLAGS] [-- COMMAND [ARGUMENT]...]
fargate-login [FLAGS] -L SPEC --exec -- PROGRAM [ARGUMENT]...
fargate-login forward SPEC... [FLAGS]
fargate-login cp [-r] SOURCE... DESTINATION [FLAGS]
fargate-login exec [--service NAME|--task TASK] [-- COMMAND [ARGUMENT]...]
fargate-login services|tasks|describe|ps|stop|gc|local|ssh-config|proxy [FLAGS]";
const FORWARD_USAGE: &str = "fargate-login forward SPEC... [FLAGS]
fargate-login forward --target TARGET SPEC... [FLAGS] [-- PROGRAM [ARGUMENT]...]
fargate-login forward --service NAME [--container NAME] SPEC... [FLAGS] [-- PROGRAM [ARGUMENT]...]";
const CP_USAGE: &str = "fargate-login cp [-r] [--resume] SOURCE... DESTINATION [FLAGS]";
const LOCAL_USAGE: &str = "fargate-login local [FLAGS]";
const GC_USAGE: &str = "fargate-login gc [FLAGS]";
const PS_USAGE: &str = "fargate-login ps [FLAGS]";
const SERVICES_USAGE: &str = "fargate-login services [FLAGS]";
const TASKS_USAGE: &str = "fargate-login tasks [--service NAME] [FLAGS]";
const DESCRIBE_USAGE: &str = "fargate-login describe TASK [FLAGS]";
const EXEC_USAGE: &str = "fargate-login exec [--service NAME|--task TASK] [FLAGS] [-- COMMAND [ARGUMENT]...]";
const SSH_CONFIG_USAGE: &str = "fargate-login ssh-config --host NAME [FLAGS]";
const PROXY_USAGE: &str = "fargate-login proxy --host NAME [FLAGS]";
const STOP_USAGE: &str = "fargate-login stop TASK... [FLAGS]\nfargate-login stop --all [--everybody] [FLAGS]";

const SUBCOMMANDS: &str = "login       run a task and log in to it: what happens without a subcommand
forward     hold tunnels until a signal, through a task that is run or one that runs already
cp          run a task and copy files into it or out of it
local       serve a local stand-in for AWS until a signal
ps          show the tasks that earlier logins have started and that still run
stop        stop some of them
services    show the services of a cluster
tasks       show the tasks of a cluster, whoever has started them
describe    tell everything about one of them: containers, addresses, ECS Exec
exec        run a command in one of them (ECS Exec)
gc          take away what earlier runs left: tasks, rules that let them in, task definitions
ssh-config  tell OpenSSH of a task, which ssh, scp, rsync, git and editors then start on demand
proxy       connect OpenSSH to that task: what its configuration runs";

const EXAMPLES: &str = "a shell            fargate-login -n bastion -sn subnet-0a1b2c -sg sg-0d1e2f
one job            fargate-login -n app -sn subnet-0a1b2c -- bin/rails db:migrate
a shell line       fargate-login -n app -sn subnet-0a1b2c --shell-command 'env | sort'
like a service     fargate-login --like-service web -cluster shop -- bin/rails console
a tunnel           fargate-login forward 5432:db.internal:5432 -n app -sn subnet-0a1b2c
a program here     fargate-login -n app -sn subnet-0a1b2c -L 0:db:5432 --exec -- psql -p {port}
files there        fargate-login cp -r config _:/tmp/ -n app -sn subnet-0a1b2c
what would happen  fargate-login -n app -sn subnet-0a1b2c --dry-run
without AWS        fargate-login --local -n test-cli";
const LOCAL_EXAMPLES: &str = "on another port    fargate-login local --listen 127.0.0.1:4600 --latency fargate
and from there     fargate-login --endpoint-url http://127.0.0.1:4600 -n test-cli -sn subnet-1";

const FORWARD_EXAMPLES: &str =
    "one port           fargate-login forward 5432:db.internal:5432 -n bastion -sn subnet-0a1b2c
any free port      fargate-login forward 0:db:5432 --output json -n bastion -sn subnet-0a1b2c
a SOCKS proxy      fargate-login forward -D 1080 -n bastion -sn subnet-0a1b2c
through a service  fargate-login forward --service web -cluster shop 5432:db.internal:5432
and a program      fargate-login forward --target i-0a1b2c3d4e5f60718 0:db:5432 -- psql -h {host} -p {port}";
const FORWARD_FLAGS: &str =
    "SPEC is [BIND:]PORT:HOST:HOSTPORT, as -L has it. Every flag of a login goes with it, such as -D, -R, --output and
--keep-going: see fargate-login --help. A line for each listener says when it can be used.";
const FORWARD_TARGETS: &str =
    "--target TARGET  ecs:CLUSTER_TASK_RUNTIMEID, as fargate-login describe TASK shows it, or an
                 instance, i-... or mi-...
--service NAME   whichever task of this service runs, with ECS Exec enabled; -cluster NAME and
                 --container NAME say which";
const FORWARD_TEXT: &str = "With one of these no task is run, nobody logs in and no port has to be open: the agent there connects, over sessions of AWS
Systems Manager. HOST localhost is the target itself. Each SPEC is a session of its own, which carries all its connections
and which the agent holds to about 0.8 MB/s downward. -R, -D, -W and -A need a task.";
const CP_EXAMPLES: &str = "into the task      fargate-login cp -r config data.csv _:/tmp/ -n app -sn subnet-0a1b2c
out of it          fargate-login cp _:/var/lib/app/dump.sql . -n app -sn subnet-0a1b2c
from a pipe        pg_dump shop | fargate-login cp - _:/mnt/efs/shop.sql -n app -sn subnet-0a1b2c";
const CP_FLAGS: &str = "-r, --recursive   copy directories too, with all that is in them
--resume          go on with the part that an earlier copy left, and leave one";
const CP_TEXT: &str = "_: stands before a path in the task, and exactly one side is the task's; - is standard input or output. Modes and
times are kept, symbolic links are followed. A file gets its name when it is whole and its digest is right. Every flag of
a login goes with it: see fargate-login --help.";
const SSH_CONFIG_EXAMPLES: &str = "to look at it      fargate-login ssh-config --host dev -n bastion -sn subnet-0a1b2c
for ssh to read    fargate-login ssh-config --host dev -n bastion -sn subnet-0a1b2c --write
and from there     ssh dev; scp file dev:; rsync -a dir/ dev:dir/; git clone dev:repo.git";
const PROXY_EXAMPLES: &str =
    "in ~/.ssh/config   ProxyCommand fargate-login proxy --host dev -n bastion -sn subnet-0a1b2c";
const GC_EXAMPLES: &str = "what would happen  fargate-login gc --dry-run";
const PS_EXAMPLES: &str = "in one cluster     fargate-login ps -cluster tools
for a program      fargate-login ps --all-clusters -o json";
const SERVICES_EXAMPLES: &str = "in one cluster     fargate-login services -cluster shop
in all of them     fargate-login services -A";
const TASKS_EXAMPLES: &str = "of one service     fargate-login tasks --service web -cluster shop
for a program      fargate-login tasks -A -o json
what went wrong    fargate-login tasks --stopped -cluster shop";
const DESCRIBE_EXAMPLES: &str = "one task           fargate-login describe 0123456789ab -cluster shop";
const EXEC_EXAMPLES: &str = "a shell            fargate-login exec --service web -cluster shop
one command        fargate-login exec --service web --container app -- bin/rails db:migrate
from a pipe        fargate-login exec --task 0123456789ab -- psql shop < query.sql > result.txt";
const EXEC_TEXT: &str = "What is not named is the only one there is, or asked for on a terminal. The command has a terminal when standard input
and output are one. Its exit status is ours. ~. leaves.";
const STOP_EXAMPLES: &str = "one task           fargate-login stop 0123456789ab -cluster tools
your own           fargate-login stop --all";

const SOURCES: &str =
    "Every flag with a long name but --shell-command, --exec, --output, --put and --get, and --target and --service of forward, can also be set as FARGATE_LOGIN_NAME (as in
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

/// The screen of `forward`.
pub(super) fn forward(command: &Command) -> String {
    let mut text = format!("{}\n\n", command.get_about().map(ToString::to_string).unwrap_or_default());
    section(&mut text, "Usage", FORWARD_USAGE);
    section(&mut text, "Examples", FORWARD_EXAMPLES);
    section(&mut text, "Flags", &wrap(FORWARD_FLAGS, WIDTH - 2).join("\n"));
    let text_of_targets = wrap(FORWARD_TEXT, WIDTH - 2).join("\n");
    section(&mut text, "Without a task", &format!("{FORWARD_TARGETS}\n{text_of_targets}"));
    text.trim_end().to_owned() + "\n"
}

/// The screen of `cp`.
pub(super) fn cp(command: &Command) -> String {
    let mut text = format!("{}\n\n", command.get_about().map(ToString::to_string).unwrap_or_default());
    section(&mut text, "Usage", CP_USAGE);
    section(&mut text, "Examples", CP_EXAMPLES);
    section(&mut text, "Flags", CP_FLAGS);
    section(&mut text, "Places", &wrap(CP_TEXT, WIDTH - 2).join("\n"));
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

/// The screen of `services`.
pub(super) fn services(command: &Command) -> String {
    small(command, SERVICES_USAGE, SERVICES_EXAMPLES)
}

/// The screen of `tasks`.
pub(super) fn tasks(command: &Command) -> String {
    small(command, TASKS_USAGE, TASKS_EXAMPLES)
}

/// The screen of `describe`.
pub(super) fn describe(command: &Command) -> String {
    small(command, DESCRIBE_USAGE, DESCRIBE_EXAMPLES)
}

/// The screen of `exec`.
pub(super) fn exec(command: &Command) -> String {
    let mut text = small(command, EXEC_USAGE, EXEC_EXAMPLES);
    text.push('\n');
    section(&mut text, "About", &wrap(EXEC_TEXT, WIDTH - 2).join("\n"));
    text.trim_end().to_owned() + "\n"
}

/// The screen of `stop`.
pub(super) fn stop(command: &Command) -> String {
    small(command, STOP_USAGE, STOP_EXAMPLES)
}

/// The screen of `ssh-config`.
pub(super) fn ssh_config(command: &Command) -> String {
    small(command, SSH_CONFIG_USAGE, SSH_CONFIG_EXAMPLES)
}

/// The screen of `proxy`.
pub(super) fn proxy(command: &Command) -> String {
    small(command, PROXY_USAGE, PROXY_EXAMPLES)
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
            (of("services"), plain(&services(of("services")))),
            (of("tasks"), plain(&tasks(of("tasks")))),
            (of("describe"), plain(&describe(of("describe")))),
            (of("exec"), plain(&exec(of("exec")))),
            (of("ssh-config"), plain(&ssh_config(of("ssh-config")))),
            (of("proxy"), plain(&proxy(of("proxy")))),
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
