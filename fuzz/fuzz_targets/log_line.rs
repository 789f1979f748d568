//! Lines of sshd's log, with what strangers make it say.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fargate_init::fuzz::log_line(data));
