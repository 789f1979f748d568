//! The two wire protocols: how requests are read, and how replies and errors are written.

pub(crate) mod aws_json;
pub(crate) mod query;
