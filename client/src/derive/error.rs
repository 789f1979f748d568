//! Why no task definition is derived, and what to do about it.

use crate::aws::ServiceError;
use crate::error::Advice;

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeriveError {
    /// The service refused.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Its tasks cannot run on Fargate.
    #[error("{name} cannot run on Fargate: {}", obstacles.join("; "))]
    NotForFargate {
        /// `family:revision`.
        name: String,
        /// Everything that stands in the way.
        obstacles: Vec<String>,
    },
    /// Its tasks are no Linux tasks.
    #[error("{name} is for {family}, and the init is a Linux program")]
    Windows {
        /// `family:revision`.
        name: String,
        /// `operatingSystemFamily`.
        family: String,
    },
    /// Nobody says which image brings the init.
    #[error("no image is named that brings the init")]
    NoInitImage,
    /// The init would not run on its CPU.
    #[error("the init image {image} is for {of_image}, and the task runs on {of_task}")]
    Architecture {
        /// The init image.
        image: String,
        /// What its tag says.
        of_image: &'static str,
        /// What the task definition says.
        of_task: &'static str,
    },
    /// The container that is named is not there.
    #[error("{definition} has no container `{name}`; it has {}", known.join(", "))]
    NoSuchContainer {
        /// As it was named.
        name: String,
        /// `family:revision`.
        definition: String,
        /// The one that was probably meant.
        nearest: Option<String>,
        /// Those that are there.
        known: Vec<String>,
    },
    /// There is none that could be a console.
    #[error("{definition} has no container that could be logged in to")]
    NoContainers {
        /// `family:revision`.
        definition: String,
    },
    /// Several could be meant.
    #[error("{definition} has several containers to choose from: {}", candidates.join(", "))]
    Ambiguous {
        /// `family:revision`.
        definition: String,
        /// Their names.
        candidates: Vec<String>,
    },
    /// The container cannot write anywhere.
    #[error(
        "container {container} has a read-only root filesystem and no writable volume: a console could not write anywhere"
    )]
    NowhereToWrite {
        /// Its name.
        container: String,
    },
    /// The carrier does not fit.
    #[error(
        "with the carrier of the init there would be {count} containers, but a task definition takes at most {most}"
    )]
    TooManyContainers {
        /// How many.
        count: usize,
        /// How many the API takes.
        most: usize,
    },
    /// It was made by us, and what it was made from is not in it any more.
    #[error("{name} was itself derived by fargate-login")]
    AlreadyDerived {
        /// `family:revision`.
        name: String,
    },
}

impl DeriveError {
    /// Whether other flags would have done: then it is wrong usage.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::NoInitImage
            | Self::Architecture { .. }
            | Self::NoSuchContainer { .. }
            | Self::Ambiguous { .. }
            | Self::NowhereToWrite { .. }
            | Self::AlreadyDerived { .. } => true,
            Self::Service(_)
            | Self::NotForFargate { .. }
            | Self::Windows { .. }
            | Self::NoContainers { .. }
            | Self::TooManyContainers { .. } => false,
        }
    }
}

impl Advice for DeriveError {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Service(error) => return error.hints(),
            Self::NotForFargate { .. } => {
                "register a revision with `requiresCompatibilities: [\"FARGATE\"]` and name it with `--from`".to_owned()
            }
            Self::Windows { .. } => "name a Linux task definition with `--from`".to_owned(),
            Self::NoInitImage => {
                "push the image that `server-image/build-image plain` makes to a registry of yours, and name it with `--init-image`, FARGATE_LOGIN_INIT_IMAGE or in the user file"
                    .to_owned()
            }
            Self::Architecture { of_task, .. } => {
                format!("name an image for {of_task} or for both with `--init-image`")
            }
            Self::NoSuchContainer { nearest: Some(name), .. } => format!("did you mean `--container {name}`?"),
            Self::NoSuchContainer { known, .. } | Self::Ambiguous { candidates: known, .. } => {
                let first = known.first().map_or("NAME", String::as_str);
                format!("name one with `--container`, as in `--container {first}`")
            }
            Self::NoContainers { .. } => "name one with `--container NAME`".to_owned(),
            Self::NowhereToWrite { .. } => {
                "`--add-tmp` gives it a writable /tmp in memory; an image that brings its own init is taken with `--derive=never`"
                    .to_owned()
            }
            Self::TooManyContainers { .. } => "leave `--with-sidecars` out".to_owned(),
            Self::AlreadyDerived { .. } => {
                "run it as it is with `-n`, or derive from the original with `--from`".to_owned()
            }
        };
        vec![hint]
    }
}
