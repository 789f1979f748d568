//! Answers of a server of files.

#![no_main]

// These files alone, for the same reason as in `socks`.
#[allow(dead_code, reason = "what only the client asks of attributes")]
#[path = "../../client/src/files/sftp/attributes.rs"]
mod attributes;
#[path = "../../client/src/files/sftp/fuzz.rs"]
mod fuzz;
#[allow(dead_code, reason = "limits that only the client keeps to")]
#[path = "../../client/src/files/sftp/limits.rs"]
mod limits;
#[allow(dead_code, reason = "answers that only the client reads further")]
#[path = "../../client/src/files/sftp/reply.rs"]
mod reply;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::sftp_reply(data));
