//! The parts of a forward between its colons, and what each of them may be.

use std::path::PathBuf;

use super::{Parsed, SpecError};

const LISTEN_PORT: &str = "a port is a number from 0 to 65535, and 0 lets the system choose one";
const TARGET_PORT: &str = "a port is a number from 1 to 65535";
const BRACKETS: &str = "an IPv6 address is written as `[2001:db8::1]`";

/// One part between colons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) text: String,
    /// It holds a slash that is not in brackets.
    pub(super) is_path: bool,
    bracketed: bool,
}

impl Field {
    pub(super) fn path(&self) -> Parsed<PathBuf> {
        /// Longest path of a socket on every system that we run on (unix(7): 108 with the NUL; macOS: 104).
        const PATH_MAX_BYTES: usize = 103;
        if self.text.contains('\0') {
            return Err(wrong(&self.text, "has a NUL in it", "no path can hold one"));
        }
        if self.text.len() > PATH_MAX_BYTES {
            return Err(wrong(&self.text, "is too long for a socket", "such a path has at most 103 bytes"));
        }
        Ok(PathBuf::from(&self.text))
    }
}

/// Parts between colons, and with `spaced` between the two sides also white space, once. A backslash takes the meaning from the
/// character after it.
pub(super) fn fields(text: &str, spaced: bool) -> Parsed<Vec<Field>> {
    let empty = || Field { text: String::new(), is_path: false, bracketed: false };
    let (mut fields, mut field, mut may_space) = (Vec::new(), empty(), spaced);
    let mut rest = text.trim().char_indices().peekable();
    while let Some((at, character)) = rest.next() {
        match character {
            '[' if field.text.is_empty() && !field.bracketed => {
                field.bracketed = true;
                let inner = &text.trim()[at + 1..];
                let Some(end) = inner.find(']') else { return Err(wrong(&inner_of(text, at), "has no `]`", BRACKETS)) };
                inner[..end].clone_into(&mut field.text);
                while rest.next_if(|(next, _)| *next <= at + 1 + end).is_some() {}
                if rest.peek().is_some_and(|(_, next)| *next != ':' && !next.is_whitespace()) {
                    return Err(wrong(&inner_of(text, at), "goes on behind its `]`", BRACKETS));
                }
            }
            '\\' => field.text.extend(rest.next().map(|(_, next)| next)),
            ':' => fields.push(std::mem::replace(&mut field, empty())),
            space if space.is_whitespace() && may_space && !field.is_path => {
                may_space = false;
                while rest.next_if(|(_, next)| next.is_whitespace()).is_some() {}
                fields.push(std::mem::replace(&mut field, empty()));
            }
            other => {
                field.is_path |= other == '/';
                field.text.push(other);
            }
        }
    }
    fields.push(field);
    Ok(fields)
}

fn inner_of(text: &str, at: usize) -> String {
    text.trim()[at..].to_owned()
}

pub(super) fn host(field: &Field) -> Parsed<String> {
    let text = &field.text;
    if text.is_empty() {
        return Err(wrong(text, "is no host", "the target needs a host: [BIND:]PORT:HOST:HOSTPORT"));
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) || field.is_path {
        return Err(wrong(text, "is not a host", "a host is a name or an address"));
    }
    // A scope such as `%eth0` belongs to the address.
    let address = text.split('%').next().unwrap_or_default();
    if field.bracketed && address.parse::<std::net::Ipv6Addr>().is_err() {
        return Err(wrong(text, "is not an IPv6 address", BRACKETS));
    }
    Ok(text.clone())
}

pub(super) fn listen_port(field: &Field) -> Parsed<u16> {
    number(&field.text).ok_or_else(|| wrong(&field.text, "is not a port to listen on", LISTEN_PORT))
}

pub(super) fn target_port(field: &Field) -> Parsed<u16> {
    let port = number(&field.text).filter(|port| *port > 0);
    port.ok_or_else(|| wrong(&field.text, "is not the port of a target", TARGET_PORT))
}

/// Digits alone: what `parse` takes beside them, a sign, is a slip here.
pub(super) fn number(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

pub(super) fn wrong(part: &str, complaint: &'static str, hint: &'static str) -> SpecError {
    SpecError { part: part.to_owned(), complaint, hint }
}
