//! Values that say what is forwarded.

use super::values::BadValue;
use crate::forward::announce::Format;
use crate::forward::spec::{Forward, Listen, RemoteForward, SpecError, Target};

impl From<SpecError> for BadValue {
    fn from(error: SpecError) -> Self {
        Self { shown: Some(error.part), ..Self::new(error.complaint, error.hint) }
    }
}

/// `-L`.
pub(super) fn forward(text: &str) -> Result<Forward, BadValue> {
    Ok(Forward::parse(text)?)
}

/// `-R`.
pub(super) fn remote_forward(text: &str) -> Result<RemoteForward, BadValue> {
    Ok(RemoteForward::parse(text)?)
}

/// `-D`.
pub(super) fn listen(text: &str) -> Result<Listen, BadValue> {
    Ok(Listen::parse(text)?)
}

/// `-W`.
pub(super) fn target(text: &str) -> Result<Target, BadValue> {
    Ok(Target::parse(text)?)
}

/// How listeners are told.
pub(super) fn format(text: &str) -> Result<Format, BadValue> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        "env" => Ok(Format::Env),
        _ => Err(BadValue::new("is not a format", "write `text`, `json` or `env`")),
    }
}
