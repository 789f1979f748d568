//! What runs in the container around the command: a few lines of POSIX shell, which say when they begin, and how the command ended.
//!
//! Sessions of ECS Exec have a terminal in any case, and tell no exit status. So the wrapper prints [`super::marker`]s. Behind the last
//! one it waits until the client has typed the nonce: a session ends with its process, and if the connection were cut just then, the
//! tail of the output and the status would be lost with it.
//!
//! Without a terminal of ours ([`Mode::Pipes`]) the command shall have none either. Its standard input is a `cat` that reads the
//! container's terminal line by line, so that an end of file can be typed ([`super::canonical`]); its standard output is a `cat` to that
//! terminal, which passes bytes as they are (`stty -opost`); its standard error goes line by line between markers of its own, less NUL
//! bytes, which no shell can hold. Where there is no `stty` or `cat`, the command has the terminal for its output and no input.

use super::marker::Nonce;
use super::quote;

/// What the command has for its standard streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The terminal of the session.
    Terminal,
    /// Pipes.
    Pipes,
}

/// The shell that runs the wrapper: where POSIX systems have it.
pub(super) const SHELL: &str = "/bin/sh";

/// `$1` is the nonce. The rest is the command, or nothing for a shell. `set +x` is for containers whose environment turns tracing on. A
/// handler for the signals of the keyboard keeps the wrapper alive while the command, to which handlers are not handed on, dies of them.
const BEGIN: &str = r#"{ set +x; } 2>/dev/null
n=$1
shift
trap : INT QUIT
if [ $# = 0 ]; then
if command -v bash >/dev/null 2>&1; then set -- bash; else set -- sh; fi
fi
"#;

/// A subshell, so that `exit` or `set -x` as the command end or change nothing else. The terminal may have been left in any mode.
const TERMINAL: &str = r#"printf "\033_%s0\033\\\\" $n
("$@")
s=$?
printf "\033_%sx%s\033\\\\" $n $s
stty sane -echo 2>/dev/null
"#;

/// Descriptors: 3 the terminal, 4 where the status goes, 5 the `cat` for the output. The line feed behind the marker `n` makes shells that
/// buffer by lines write a line and its markers at once, so that no output comes in between.
const PIPES: &str = r#"f=0
stty -echo -opost ixon 2>/dev/null && command -v cat >/dev/null 2>&1 && f=1
printf "\033_%s%s\033\\\\" $n $f
if [ $f = 1 ]; then
cat 2>/dev/null | {
s=$({ { { ("$@") 3>&- 4>&- 5>&-
echo $? >&4
} 2>&1 >&5 | {
while IFS= read -r l; do printf "\033_%se\033\\\\%s\033_%sn\033\\\\\n" $n "$l" $n; done
[ -z "$l" ] || printf "\033_%se\033\\\\%s\033_%s.\033\\\\" $n "$l" $n
} >&3
} 5>&1 | cat >&3
} 4>&1)
printf "\033_%sx%s\033\\\\" $n $s >&3
} 3>&1
else
("$@") </dev/null
s=$?
printf "\033_%sx%s\033\\\\" $n $s
fi
"#;

/// Waits for the nonce, behind whatever else was typed, for at most a minute: nobody may be there to type it. An end of file may have
/// been typed too, and is read as one; many of them are a terminal that is gone.
const END: &str = r"(sleep 60 && kill -9 $$) >/dev/null 2>&1 </dev/null &
i=0
while [ $i -lt 9 ]; do
if read -r l; then case $l in *$n) break;; esac; else i=$((i+1)); fi
done
kill -9 $! 2>/dev/null
";

/// The line for ExecuteCommand that runs a command in the wrapper; an empty one is a shell.
pub(super) fn line(mode: Mode, nonce: &Nonce, command: &[String]) -> String {
    let script = script(mode);
    let words = [SHELL, "-c", &script, "sh", nonce.text()];
    quote::line(words.into_iter().chain(command.iter().map(String::as_str)))
}

fn script(mode: Mode) -> String {
    let middle = match mode {
        Mode::Terminal => TERMINAL,
        Mode::Pipes => PIPES,
    };
    format!("{BEGIN}{middle}{END}")
}

#[cfg(test)]
mod tests;
