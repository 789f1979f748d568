//! The flags of files.

use std::ffi::OsString;

use clap::Args;

use super::Flags;
use crate::cli::wrong::UsageError;
use crate::cli::{file_values, help};
use crate::files::{CopyRequest, Direction, Place};
use crate::options::{Carried, GetWhen};

/// What goes along with a run.
#[derive(Clone, Debug, Default, Args)]
pub(in crate::cli) struct FileFlags {
    /// Copy a file or a directory from here into the task before the command; repeatable
    #[arg(long, value_name = "HERE:THERE", value_parser = file_values::put, help_heading = help::FILES)]
    put: Vec<CopyRequest>,
    /// Copy a file or a directory out of the task after the command; repeatable
    #[arg(long, value_name = "THERE:HERE", value_parser = file_values::get, help_heading = help::FILES)]
    get: Vec<CopyRequest>,
    /// When to do what --get says: success, or always, whatever the command's exit status [default: success]
    #[arg(long, value_name = "WHEN", value_parser = file_values::get_when, help_heading = help::FILES)]
    get_when: Option<GetWhen>,
    /// The copy that is all there is to do.
    #[arg(skip)]
    pub(in crate::cli) copy: Option<CopyRequest>,
}

impl FileFlags {
    /// What flags before and behind a subcommand carry.
    pub(in crate::cli) fn carried(flags: &[Flags; 2]) -> Carried {
        let [first, second] = flags.each_ref().map(|flags| &flags.files);
        Carried {
            put: first.put.iter().chain(&second.put).cloned().collect(),
            get: first.get.iter().chain(&second.get).cloned().collect(),
            get_when: second.get_when.or(first.get_when).unwrap_or_default(),
        }
    }
}

/// The flags of `cp`: those of a login, and its own.
#[derive(Clone, Debug, Default, Args)]
#[command(args_override_self = true)]
pub(in crate::cli) struct CopyFlags {
    /// Sources and the destination; _: stands before a path in the task, - is standard input or output
    #[arg(value_name = "PLACE", help_heading = help::COPY)]
    places: Vec<OsString>,
    /// Copy directories too, with all that is in them
    #[arg(short = 'r', long, help_heading = help::COPY)]
    recursive: bool,
    /// Go on with the part that an earlier copy left, and leave one
    #[arg(long, help_heading = help::COPY)]
    resume: bool,
    #[command(flatten)]
    login: Flags,
}

impl CopyFlags {
    /// The same, as flags of a login that copies.
    ///
    /// # Errors
    /// [`UsageError::Places`].
    pub(in crate::cli) fn into_flags(self) -> Result<Flags, UsageError> {
        let direction = Direction::of(self.places.into_iter().map(Place::parse).collect());
        let direction = direction.map_err(UsageError::Places)?;
        let mut flags = self.login;
        flags.files.copy = Some(CopyRequest { direction, recursive: self.recursive, resume: self.resume });
        Ok(flags)
    }
}
