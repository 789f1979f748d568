//! The bench of the end-to-end suite: a world with a stand-in for AWS, the real program as its user starts it, and a
//! terminal to start it in.
//!
//! * [`world`]: [`World`], the stand-in with its images, an empty home and an explicit environment.
//! * [`postgres`]: a PostgreSQL server to tunnel to.
//! * [`program`]: [`Program`], the built executable as a child; what it printed, how it ended.
//! * [`ancestor`]: a container with an `sshd` in it.
//! * [`api`]: calls to the stand-in as AWS's own clients make them.
//! * [`address_service`]: tells its callers their address.
//! * [`docker`]: images for tests, and what Docker has of ours.
//! * [`network`]: [`Network`], which can be cut between the client and the task.
//! * [`terminal`]: [`Terminal`], a pseudo-terminal with the program in it.
//! * [`ssh_host`]: [`SshHost`], a task as OpenSSH's configuration has it.
//! * [`redact`]: snapshots without what differs from run to run.

pub mod address_service;
pub mod ancestor;
pub mod api;
pub mod docker;
pub mod network;
pub mod postgres;
pub mod program;
pub mod redact;
pub mod ssh_host;
pub mod terminal;
pub mod world;

pub use address_service::AddressService;
pub use network::Network;
pub use postgres::Postgres;
pub use program::{Finished, Program, Running};
pub use ssh_host::SshHost;
pub use terminal::Terminal;
pub use world::World;
