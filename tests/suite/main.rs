//! The end-to-end suite: one binary, one module per promise.

mod audit;
mod conformance;
mod crash;
mod ecs_exec;
mod errors;
mod exec;
mod faults;
mod files;
mod fleet;
mod forward;
mod host_key_logs;
mod listing;
mod openssh;
mod over_ssm;
mod recording;
mod rights;
mod secrets;
mod security_group;
mod shell;
mod signals;
mod ssh_audit;
mod ssh_clients;
mod the_main_job;
mod tunnels;
