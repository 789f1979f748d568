//! Values that say which files go along with a run.

use std::path::PathBuf;

use super::values::BadValue;
use crate::files::{CopyRequest, Direction, Local};
use crate::options::GetWhen;

/// `HERE:THERE`.
pub(super) fn put(text: &str) -> Result<CopyRequest, BadValue> {
    let (here, there) = halves(text, "`app.tar:/tmp/app.tar`")?;
    let direction =
        Direction::ToTask { sources: vec![Local::Path(PathBuf::from(here))], destination: there.as_bytes().to_vec() };
    Ok(with_directories(direction))
}

/// `THERE:HERE`.
pub(super) fn get(text: &str) -> Result<CopyRequest, BadValue> {
    let (there, here) = halves(text, "`/tmp/dump.sql:dump.sql`")?;
    let destination = Local::Path(PathBuf::from(here));
    Ok(with_directories(Direction::FromTask { sources: vec![there.as_bytes().to_vec()], destination }))
}

/// When files are taken out.
pub(super) fn get_when(text: &str) -> Result<GetWhen, BadValue> {
    match text {
        "success" => Ok(GetWhen::Success),
        "always" => Ok(GetWhen::Always),
        _ => Err(BadValue::new("is not a time for it", "write `success` or `always`")),
    }
}

/// What stands before the first colon, and what behind it.
fn halves<'a>(text: &'a str, example: &str) -> Result<(&'a str, &'a str), BadValue> {
    match text.split_once(':') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok((from, to)),
        _ => Err(BadValue::new("does not say from where to where", format!("write it like {example}"))),
    }
}

const fn with_directories(direction: Direction) -> CopyRequest {
    CopyRequest { direction, recursive: true, resume: false }
}
