//! PID 1 of a fargate-login container: authorizes one key, serves SSH, and ends.
//!
//! The life of the container, in order:
//!
//! * [`roles`]: one binary, several roles. [`run`] chooses; an executable that embeds this crate calls it too.
//! * `init`: the role of PID 1. Takes the grant out of its environment, starts `serve`, reaps, forwards signals, ends with it.
//! * [`engine`]: which of the two SSH servers speaks, our own or the image's OpenSSH.
//! * `install`: copying the executable into a volume, from where another image starts it.
//! * `handover`: how the grant goes from `init` to `serve` without any environment that others could read.
//! * [`serve`]: the role that listens and runs the SSH server until its lifetime ends.
//! * [`lifetime`]: why and when the container ends, and with which code.
//! * `notice`: the time that sessions have where the end from outside is announced, and how they are told.
//! * `admission`, `startups`, `connection`, `handler`: who may log in, who may wait for it, one TCP connection, and what russh
//!   calls.
//! * `session_channels`: what is asked for on a connection's channels before a program runs there.
//! * `forward`: connections that go through a login, to targets, from listeners, and to the client's agent.
//! * `resumable`: sessions that outlive their connection, and who may come back to them.
//! * `openssh`: the same decisions where the image's `sshd` speaks SSH.
//! * [`accounts`]: login names, `/etc/passwd` and `/etc/group`.
//! * `session`: one shell or command, with or without a terminal.
//! * `sftp`: the role that works on files for a client, in a process of its own.
//! * [`spawner`]: the thread that starts processes with the container's rights, which the rest of `serve` has given up.
//! * [`environment`]: what a session sees of the container's environment, and where it is written for other logins.
//! * [`log`]: one line of JSON for each event.
//! * [`audit`]: how much of what users do those lines tell.
//! * `sys`: the only unsafe code.

pub mod accounts;
mod admission;
pub mod audit;
mod chunk;
mod connection;
pub mod engine;
pub mod environment;
mod forward;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod handler;
mod handover;
mod host_key;
mod init;
mod install;
pub mod lifetime;
mod links;
pub mod log;
mod notice;
mod openssh;
mod reaper;
mod resumable;
pub mod roles;
pub mod serve;
mod session;
mod session_channels;
mod settings;
mod sftp;
pub mod spawner;
mod startups;
mod sys;

pub use roles::run;
