//! Requests to the host key's agent, and what attendants say to the desk.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fargate_init::fuzz::openssh(data));
