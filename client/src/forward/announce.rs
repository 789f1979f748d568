//! Listeners as they are told, to people and to programs.

use std::io::{self, Write as _};

use serde_json::{Value, json};

use super::listener::At;
use super::spec::{Purpose, Target};
use crate::ui::Ui;

/// What programs are told in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Lines for people, on standard error.
    #[default]
    Text,
    /// A JSON object to a line, on standard output.
    Json,
    /// `NAME=VALUE` lines that a shell can read, on standard output.
    Env,
}

/// A listener that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// Which kind.
    pub kind: Kind,
    /// Where.
    pub at: At,
}

/// What a listener is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of ours, and the task connects to this.
    Local(Target),
    /// Of ours, and the task connects to what a SOCKS client names.
    Dynamic,
    /// Of the task, and we connect to this, or to what a SOCKS client names.
    Remote(Purpose),
}

impl Listening {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.kind {
            Kind::Local(target) => format!("forwarding {} to {target}", self.at),
            Kind::Dynamic => format!("forwarding {} as a SOCKS proxy", self.at),
            Kind::Remote(Purpose::Fixed(target)) => format!("forwarding the task's {} to {target}", self.at),
            Kind::Remote(Purpose::Socks) => format!("forwarding the task's {} as a SOCKS proxy", self.at),
        }
    }

    fn json(&self, number: usize) -> Value {
        let (kind, target) = match &self.kind {
            Kind::Local(target) => ("local", Some(target.to_string())),
            Kind::Dynamic => ("dynamic", None),
            Kind::Remote(Purpose::Fixed(target)) => ("remote", Some(target.to_string())),
            Kind::Remote(Purpose::Socks) => ("remote-dynamic", None),
        };
        match &self.at {
            At::Tcp { host, port } => {
                json!({"forward": number, "kind": kind, "host": host, "port": port, "target": target})
            }
            At::Unix(path) => {
                json!({"forward": number, "kind": kind, "path": path.to_string_lossy(), "target": target})
            }
        }
    }

    const fn is_remote(&self) -> bool {
        matches!(self.kind, Kind::Remote(_))
    }
}

/// Tells every listener, now that it can be used: programs on standard output, people otherwise.
///
/// # Errors
/// What writing to standard output failed with.
pub fn tell(ui: &Ui, format: Format, all: &[Listening]) -> io::Result<()> {
    if format == Format::Text {
        lines(all, format).iter().for_each(|line| ui.note(line));
        return Ok(());
    }
    let mut text = lines(all, format).join("\n");
    text.push('\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
}

/// The lines for a program, one to a listener in JSON. Local listeners are numbered from 1, and those of the task from 1 on their own.
#[must_use]
pub fn lines(all: &[Listening], format: Format) -> Vec<String> {
    match format {
        Format::Text => all.iter().map(Listening::text).collect(),
        Format::Json => numbered(all).map(|(number, one)| one.json(number).to_string()).collect(),
        Format::Env => {
            // A value with a NUL is no path: nothing of ours has one.
            let line = |(name, value): (String, String)| Some(format!("{name}={}", shlex::try_quote(&value).ok()?));
            variables(all).into_iter().filter_map(line).collect()
        }
    }
}

/// The listeners as variables: `FARGATE_LOGIN_FORWARD_1_HOST` and `_PORT`, or `_PATH`; the first also without its number.
#[must_use]
pub fn variables(all: &[Listening]) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for (number, one) in numbered(all) {
        let name = if one.is_remote() { "FARGATE_LOGIN_REMOTE_FORWARD" } else { "FARGATE_LOGIN_FORWARD" };
        let values = match &one.at {
            At::Tcp { host, port } => vec![("HOST", host.clone()), ("PORT", port.to_string())],
            At::Unix(path) => vec![("PATH", path.to_string_lossy().into_owned())],
        };
        for (part, value) in values {
            if number == 1 && !one.is_remote() {
                variables.push((format!("{name}_{part}"), value.clone()));
            }
            variables.push((format!("{name}_{number}_{part}"), value));
        }
    }
    variables
}

/// Text with `{host}`, `{port}` and `{path}` of the first local listener filled in, and with `{host_2}` and so on those of the others.
/// What names no listener stays.
#[must_use]
pub fn filled_in(text: &str, local: &[Listening]) -> String {
    let mut text = text.to_owned();
    for (index, one) in local.iter().enumerate() {
        let values = match &one.at {
            At::Tcp { host, port } => vec![("host", host.clone()), ("port", port.to_string())],
            At::Unix(path) => vec![("path", path.to_string_lossy().into_owned())],
        };
        for (part, value) in values {
            text = text.replace(&format!("{{{part}_{}}}", index + 1), &value);
            if index == 0 {
                text = text.replace(&format!("{{{part}}}"), &value);
            }
        }
    }
    text
}

fn numbered(all: &[Listening]) -> impl Iterator<Item = (usize, &Listening)> {
    let (mut local, mut remote) = (0, 0);
    all.iter().map(move |one| {
        let counter = if one.is_remote() { &mut remote } else { &mut local };
        *counter += 1;
        (*counter, one)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    use crate::forward::spec::bracketed;

    fn all() -> Vec<Listening> {
        let db = Target::Tcp { host: "db.internal".to_owned(), port: 5432 };
        let tcp = |host: &str, port| At::Tcp { host: host.to_owned(), port };
        vec![
            Listening { kind: Kind::Local(db.clone()), at: tcp("127.0.0.1", 40_001) },
            Listening { kind: Kind::Local(db), at: At::Unix(PathBuf::from("/tmp/a b")) },
            Listening { kind: Kind::Dynamic, at: tcp("::1", 1080) },
            Listening {
                kind: Kind::Remote(Purpose::Fixed(Target::Unix(PathBuf::from("/run/x")))),
                at: tcp("localhost", 8080),
            },
            Listening { kind: Kind::Remote(Purpose::Socks), at: tcp("localhost", 1080) },
        ]
    }

    #[test]
    fn for_people_and_for_programs() {
        let shown = [Format::Text, Format::Json, Format::Env].map(|format| lines(&all(), format).join("\n"));
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!("listeners_as_they_are_told", shown.join("\n\n"));
        });
    }

    #[test]
    fn templates_are_filled_in_and_other_braces_stay() {
        let filled = filled_in("{host}:{port} {host_1} {path_2} {host_3}:{port_3} {x} {port_4} {}", &all());
        assert_eq!(filled, "127.0.0.1:40001 127.0.0.1 /tmp/a b ::1:1080 {x} 8080 {}");
    }

    #[test]
    fn ipv6_is_bracketed_for_people() {
        assert_eq!(all()[2].text(), format!("forwarding {}:1080 as a SOCKS proxy", bracketed("::1")));
    }
}
