//! The ancestor's spelling of flags: `-sg a` and `-cluster=x` become what clap calls them, near misses become errors.
//!
//! Only whole tokens are rewritten, never anything after `--`. A token that begins with `-` is the value of no flag but
//! `--shell-command`, so nothing else needs to be known about values here.

use std::ffi::OsString;

use clap::Command;

use crate::cli::nearest::nearest;
use crate::cli::wrong::UsageError;

/// Names that the ancestor wrote with one dash, and what clap calls them. `-n` needs no help.
pub(crate) const ANCESTORS: [(&str, &str); 5] = [
    ("sg", "security-groups"),
    ("sn", "subnets"),
    ("public", "public"),
    ("cluster", "cluster"),
    ("cli-container-name", "container"),
];
/// Short flag whose value is a number: other letters behind it are a mistyped long name such as `-publik`.
const PORT: char = 'p';

/// What clap knows, as far as it decides what a token with one dash can be.
#[derive(Debug)]
struct Known {
    shorts: Vec<char>,
    longs: Vec<String>,
    /// Flags whose value may begin with `-`.
    takes_anything: Vec<String>,
}

/// Rewrites a command line, program name first, into one that clap reads.
///
/// # Errors
/// [`UsageError::UnknownFlag`] for a token with one dash that can be neither an ancestor's flag nor a cluster of short
/// flags.
pub(crate) fn to_clap(
    args: impl IntoIterator<Item = OsString>,
    command: &Command,
) -> Result<Vec<OsString>, UsageError> {
    let known = Known::of(command);
    let mut args = args.into_iter();
    let mut out: Vec<OsString> = args.next().into_iter().collect();
    let mut is_value = false;
    while let Some(token) = args.next() {
        if token == "--" && !is_value {
            out.push(token);
            out.extend(args);
            break;
        }
        let rewritten = match token.to_str() {
            Some(text) if !is_value => known.rewrite(text)?,
            _ => None,
        };
        is_value = !is_value && known.takes_anything.iter().any(|flag| token == flag.as_str());
        out.push(rewritten.map_or(token, OsString::from));
    }
    Ok(out)
}

impl Known {
    fn of(command: &Command) -> Self {
        let all = || std::iter::once(command).chain(command.get_subcommands()).flat_map(Command::get_arguments);
        let own = |arg: &clap::Arg| arg.get_long().map(str::to_owned);
        let takes_anything = all().filter(|arg| arg.is_allow_hyphen_values_set()).filter_map(own);
        Self {
            // clap adds its own two only when it builds the command.
            shorts: all().filter_map(clap::Arg::get_short).chain(['h', 'V']).collect(),
            longs: all().filter_map(own).chain(["help".to_owned(), "version".to_owned()]).collect(),
            takes_anything: takes_anything.map(|long| format!("--{long}")).collect(),
        }
    }

    /// The token in clap's spelling, or `None` to leave it as it is.
    fn rewrite(&self, token: &str) -> Result<Option<String>, UsageError> {
        let Some(body) = token.strip_prefix('-').filter(|body| !body.is_empty() && !body.starts_with('-')) else {
            return Ok(None);
        };
        let name = body.split_once('=').map_or(body, |(name, _)| name);
        if let Some((_, long)) = ANCESTORS.iter().find(|(ancestor, _)| *ancestor == name) {
            return Ok(Some(format!("--{long}{}", &body[name.len()..])));
        }
        let short = body.chars().next().filter(|first| self.shorts.contains(first));
        let near = || self.nearest(name);
        let unknown = |nearest| Err(UsageError::UnknownFlag { flag: format!("-{name}"), nearest });
        // To `ssh`, `-local` is the user `ocal`: what was meant is the flag, and guessing wrong costs a task.
        if name.chars().count() > 1 && self.longs.iter().any(|long| long == name) {
            return unknown(Some(format!("--{name}")));
        }
        match short {
            None => unknown(near()),
            Some(PORT) if !name[PORT.len_utf8()..].chars().all(|c| c.is_ascii_digit()) => match near() {
                Some(flag) => unknown(Some(flag)),
                None => Ok(None),
            },
            Some(_) => Ok(None),
        }
    }

    /// The flag that was probably meant, with its dashes. A single letter is too little to guess from.
    fn nearest(&self, name: &str) -> Option<String> {
        if name.chars().count() < 2 {
            return None;
        }
        let ancestors = ANCESTORS.iter().map(|(ancestor, _)| *ancestor);
        let found = nearest(name, ancestors.clone().chain(self.longs.iter().map(String::as_str)))?;
        let dashes = if ancestors.into_iter().any(|ancestor| ancestor == found) { "-" } else { "--" };
        Some(format!("{dashes}{found}"))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::flags::Cli;

    fn rewrite(args: &[&str]) -> Result<Vec<String>, UsageError> {
        let args = std::iter::once("fargate-login").chain(args.iter().copied()).map(OsString::from);
        let out = to_clap(args, &Cli::command())?;
        Ok(out.into_iter().skip(1).map(|token| token.into_string().expect("UTF-8")).collect())
    }

    #[test]
    fn the_ancestors_flags_get_claps_names() {
        let args = ["-n", "x", "-sg", "a,b", "-sn=c", "-public=false", "-cluster", "y", "-cli-container-name=z"];
        let want =
            ["-n", "x", "--security-groups", "a,b", "--subnets=c", "--public=false", "--cluster", "y", "--container=z"];
        assert_eq!(rewrite(&args).expect("valid"), want);
        assert_eq!(rewrite(&["-public"]).expect("valid"), ["--public"]);
    }

    #[test]
    fn what_is_not_a_flag_of_the_ancestors_stays() {
        for args in [
            &["-vvv", "-tt", "-vT", "-p22", "-nfamily", "-lroot", "-oPort=22", "-e", "-", "-qn=x"][..],
            &["--sg", "a", "--public", "--cluster=x"],
            &["--", "-sg", "-clusterfoo", "--", "-public"],
            &["--shell-command", "-sg", "-v"],
            &["--shell-command", "--", "-v"],
            &["-l", "sg", "--cluster", "public"],
        ] {
            assert_eq!(rewrite(args).expect("valid"), args, "{args:?}");
        }
    }

    #[test]
    fn a_near_miss_names_what_was_meant() {
        for (token, flag, meant) in [
            ("-sgx", "-sgx", Some("-sg")),
            ("-clusterfoo", "-clusterfoo", Some("-cluster")),
            ("-clutser=x", "-clutser", Some("-cluster")),
            ("-publik", "-publik", Some("-public")),
            ("-profil", "-profil", Some("--profile")),
            ("-local", "-local", Some("--local")),
            ("-subnet", "-subnet", Some("--subnets")),
            ("-cpu", "-cpu", Some("--cpu")),
            ("-x", "-x", None),
            ("-zzzzzz", "-zzzzzz", None),
        ] {
            let want = UsageError::UnknownFlag { flag: flag.to_owned(), nearest: meant.map(str::to_owned) };
            assert_eq!(rewrite(&[token]).expect_err(token), want);
        }
    }
}
