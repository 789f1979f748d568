//! Forwarding through the built executable: OpenSSH's client for what an operator types, and a client like our own for what it bears.

mod agent;
mod bounds;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../openssh/container.rs"]
mod container;
mod flow;
mod grants;
mod lifetime;
mod local;
mod openssh_flow;
mod own;
mod pattern;
mod peer;
mod remote;
mod resumed;
mod rights;
mod superseded;
