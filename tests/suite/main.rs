//! The end-to-end suite: one binary, one module per promise.

mod conformance;
mod crash;
mod errors;
mod exec;
mod faults;
mod fleet;
mod openssh;
mod secrets;
mod security_group;
mod shell;
mod signals;
mod ssh_audit;
mod the_main_job;
