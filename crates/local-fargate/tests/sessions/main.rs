//! Sessions of Systems Manager's against the stand-in, from the client's side of the wire: nothing here uses the stand-in's own frames.

mod api;
mod commands;
mod encryption;
mod faults;
mod peer;
mod ports;
mod refusals;
mod resumption;
