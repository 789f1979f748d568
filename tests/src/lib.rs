//! The bench of the end-to-end suite: a world with a stand-in for AWS, the real program as its user starts it, and a
//! terminal to start it in.
//!
//! * [`world`]: [`World`], the stand-in with its images, an empty home and an explicit environment.
//! * [`program`]: [`Program`], the built executable as a child; what it printed, how it ended.
//! * [`api`]: calls to the stand-in as AWS's own clients make them.
//! * [`address_service`]: tells its callers their address.
//! * [`docker`]: images for tests, and what Docker has of ours.
//! * [`terminal`]: [`Terminal`], a pseudo-terminal with the program in it.
//! * [`redact`]: snapshots without what differs from run to run.

pub mod address_service;
pub mod api;
pub mod docker;
pub mod program;
pub mod redact;
pub mod terminal;
pub mod world;

pub use address_service::AddressService;
pub use program::{Finished, Program};
pub use terminal::Terminal;
pub use world::World;
