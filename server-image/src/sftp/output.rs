//! Replies on their way out, and the reports of what they are about, which the client does not wait for.

use std::io::{self, Write};

use bytes::BufMut as _;

use super::attributes::Attributes;
use super::failure::{Code, Failure};
use super::report::{Operation, Report};
use super::request::{HANDLE, Malformed};

/// Most bytes that one READ is answered with: OpenSSH's limit, which its clients then ask for.
pub(super) const READ_MAX: usize = 255 * 1024;

/// Longest other reply, in bytes: what OpenSSH's clients take, less its head.
pub(super) const REPLY_MAX: usize = 256 * 1024 - 16;

/// Length, number, id and length of the data.
const DATA_HEAD: usize = 4 + 1 + 4 + 4;

/// Data of up to so many bytes waits with other replies; more goes straight out.
const SMALL: usize = 16 * 1024;

/// Bytes that may wait before they are written although more requests are here.
const HELD: usize = 64 * 1024;

/// Numbers of the packets that servers send (draft-ietf-secsh-filexfer-02, section 3).
mod number {
    pub(super) const VERSION: u8 = 2;
    pub(super) const STATUS: u8 = 101;
    pub(super) const HANDLE: u8 = 102;
    pub(super) const DATA: u8 = 103;
    pub(super) const NAME: u8 = 104;
    pub(super) const ATTRS: u8 = 105;
    pub(super) const EXTENDED_REPLY: u8 = 201;
}

/// What a request is answered with when it succeeded.
#[derive(Debug)]
pub(super) enum Reply {
    Done,
    Handle(u64),
    /// So many bytes of [`Held::block`].
    Data(usize),
    Names(Vec<Name>),
    Attributes(Attributes),
    /// The fields of an extension's reply.
    Extended(Vec<u8>),
}

/// A file in a reply.
#[derive(Debug, Default)]
pub(super) struct Name {
    pub(super) name: Vec<u8>,
    pub(super) long: Vec<u8>,
    pub(super) attributes: Attributes,
}

impl Name {
    /// One of which nothing else is told.
    pub(super) fn alone(name: Vec<u8>) -> Self {
        Self { long: name.clone(), name, attributes: Attributes::default() }
    }
}

/// What waits to be written.
pub(super) struct Held {
    replies: Vec<u8>,
    reports: Vec<u8>,
    /// A data packet being made: its head, then what was read.
    data: Box<[u8]>,
}

impl Held {
    /// Room for what is read.
    pub(super) fn block(&mut self) -> &mut [u8] {
        &mut self.data[DATA_HEAD..]
    }

    /// Keeps a report, which leaves together with the reply to what it is about.
    pub(super) fn report(&mut self, report: &Report<'_>) {
        // Text and numbers, into a vector: nothing that could fail.
        if serde_json::to_writer(&mut self.reports, report).is_ok() {
            self.reports.push(b'\n');
        }
    }

    fn packet(&mut self, number: u8, fields: impl FnOnce(&mut Vec<u8>)) {
        let start = self.replies.len();
        self.replies.put_u32(0);
        self.replies.put_u8(number);
        fields(&mut self.replies);
        let length = length(self.replies.len() - start - 4).to_be_bytes();
        self.replies[start..start + 4].copy_from_slice(&length);
    }

    fn status(&mut self, id: u32, code: Code, message: &str) {
        self.packet(number::STATUS, |out| {
            out.put_u32(id);
            out.put_u32(code as u32);
            put_string(out, message.as_bytes());
            // The language of the message; nobody reads it.
            put_string(out, b"");
        });
    }
}

/// Both streams out, and what waits for them.
pub(super) struct Output<W, E> {
    replies: W,
    reports: E,
    pub(super) held: Held,
}

impl<W: Write, E: Write> Output<W, E> {
    pub(super) fn new(replies: W, reports: E) -> Self {
        let data = vec![0; DATA_HEAD + READ_MAX].into_boxed_slice();
        Self { replies, reports, held: Held { replies: Vec::new(), reports: Vec::new(), data } }
    }

    /// Answers the client's first packet: the version, and extensions with their own.
    pub(super) fn version(&mut self, version: u32, extensions: &[(&str, &str)]) {
        self.held.packet(number::VERSION, |out| {
            out.put_u32(version);
            for (name, version) in extensions {
                put_string(out, name.as_bytes());
                put_string(out, version.as_bytes());
            }
        });
    }

    pub(super) fn report_malformed(&mut self, malformed: &Malformed) {
        self.held.report(&Report::new(Operation::Protocol, b"").error(Some(malformed.to_string())));
    }

    /// Answers a request.
    pub(super) fn reply(&mut self, id: u32, answer: Result<Reply, Failure>) -> io::Result<()> {
        let held = &mut self.held;
        match answer {
            Err(Failure { code, message }) => held.status(id, code, message),
            Ok(Reply::Done) => held.status(id, Code::Ok, "Success"),
            Ok(Reply::Data(bytes)) => self.data(id, bytes)?,
            Ok(Reply::Handle(handle)) => held.packet(number::HANDLE, |out| {
                out.put_u32(id);
                out.put_u32(length(HANDLE));
                out.put_u64(handle);
            }),
            Ok(Reply::Names(names)) => held.packet(number::NAME, |out| {
                out.put_u32(id);
                out.put_u32(length(names.len()));
                for Name { name, long, attributes } in &names {
                    put_string(out, name);
                    put_string(out, long);
                    attributes.put(out);
                }
            }),
            Ok(Reply::Attributes(attributes)) => held.packet(number::ATTRS, |out| {
                out.put_u32(id);
                attributes.put(out);
            }),
            Ok(Reply::Extended(fields)) => held.packet(number::EXTENDED_REPLY, |out| {
                out.put_u32(id);
                out.extend(fields);
            }),
        }
        if self.held.replies.len() + self.held.reports.len() > HELD { self.flush() } else { Ok(()) }
    }

    fn data(&mut self, id: u32, bytes: usize) -> io::Result<()> {
        let all = DATA_HEAD + bytes;
        let mut head = &mut self.held.data[..DATA_HEAD];
        head.put_u32(length(all - 4));
        head.put_u8(number::DATA);
        head.put_u32(id);
        head.put_u32(length(bytes));
        if bytes > SMALL {
            self.flush()?;
            return self.replies.write_all(&self.held.data[..all]);
        }
        self.held.replies.extend_from_slice(&self.held.data[..all]);
        Ok(())
    }

    /// Writes everything that waits: what was done is told, whether or not anybody is left to be answered.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let replied = write_out(&mut self.held.replies, &mut self.replies);
        let told = write_out(&mut self.held.reports, &mut self.reports);
        replied.and(told)
    }
}

fn write_out(bytes: &mut Vec<u8>, stream: &mut impl Write) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let written = stream.write_all(bytes);
    bytes.clear();
    written
}

pub(super) fn put_string(out: &mut Vec<u8>, string: &[u8]) {
    out.put_u32(length(string.len()));
    out.extend_from_slice(string);
}

/// A length for the wire. Everything that we send is far below what it can tell.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_while_more_requests_are_here() {
        let mut output = Output::new(io::sink(), io::sink());
        for id in 0..1000 {
            output.reply(id, Ok(Reply::Data(SMALL))).expect("a sink");
            output.reply(id, Ok(Reply::Names(vec![Name::alone(vec![b'n'; 255])]))).expect("a sink");
            output.held.report(&Report::new(Operation::Remove, &[b'p'; 4096]));
            let waiting = output.held.replies.len() + output.held.reports.len();
            assert!(waiting <= HELD + 2 * SMALL, "{waiting} bytes");
        }
    }

    #[test]
    fn replies_are_in_the_order_of_the_requests() {
        let (mut replies, mut expected) = (Vec::new(), Vec::new());
        let mut output = Output::new(&mut replies, io::sink());
        for (id, bytes) in [(1, 5), (2, READ_MAX), (3, SMALL), (4, SMALL + 1), (5, 1)] {
            let fill = u8::try_from(id).expect("small");
            output.held.block()[..bytes].fill(fill);
            output.reply(id, Ok(Reply::Data(bytes))).expect("a vector");
            expected.put_u32(length(bytes + 9));
            expected.put_u8(103);
            expected.put_u32(id);
            put_string(&mut expected, &vec![fill; bytes]);
        }
        output.flush().expect("a vector");
        drop(output);
        assert!(replies == expected);
    }
}
