//! OpenSSH's own client against the built executable: what an operator sees.

mod container;
mod endings;
mod environment;
mod login;
mod processes;
mod rights;
mod rsa;
mod sessions;
mod start;
