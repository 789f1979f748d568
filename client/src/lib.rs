//! `fargate-login`: a shell, a job or a tunnel on a Fargate task that did not exist a minute ago.
//!
//! The pipeline, in order; each stage consumes its input and yields a type that cannot exist earlier: `cli` reads the command
//! line into [`options::Options`]; [`origin`] settles which task definition it is about, [`like_service`] and [`mod@derive`] being
//! the two ways to find one; [`plan`] fills in the rest; [`ingress`] lets the caller in, where that is asked for; [`task`] launches
//! it; [`ready`] waits until it answers; `ssh` authenticates; `session` runs what was asked for; [`login`] is the sentence over all
//! of them. [`gc`] clears away what is left, and [`fleet`] shows and stops what runs. Beside it stand [`aws`] (one operation to a
//! file), [`ui`] (all of our own talk), [`signals`], [`timings`] and
//! [`price`].

pub(crate) mod argv;
pub mod aws;
pub mod checkpoint;
pub mod cli;
pub mod derive;
pub mod error;
pub mod fleet;
pub mod gc;
pub mod ingress;
pub mod like_service;
pub mod local;
pub mod login;
pub mod my_ip;
pub mod options;
pub mod origin;
pub mod plan;
pub mod price;
pub mod ready;
pub mod run;
pub mod session;
pub mod signals;
pub mod ssh;
pub mod task;
pub mod timings;
pub mod ui;

pub use run::run;
