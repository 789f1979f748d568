//! What SOCKS clients say.

#![no_main]

// These files alone: the client links AWS's SDK, for which a compiler that counts every branch needs more memory than machines have.
#[path = "../../client/src/forward/fuzz.rs"]
mod fuzz;
#[allow(dead_code, reason = "replies that only the client sends")]
#[path = "../../client/src/forward/socks.rs"]
mod socks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::socks(data));
