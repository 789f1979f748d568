//! The static init inside images that know nothing of it, run by a real Docker engine: no libc, no shell, a read-only root, any
//! user. Needs Docker; without it these tests fail where `CI` is set and are skipped elsewhere.

mod docker;
mod images;
mod rights;
mod start;
