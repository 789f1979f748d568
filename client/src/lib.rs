//! `fargate-login`: a shell, a job or a tunnel on a Fargate task that did not exist a minute ago.
//!
//! The pipeline, in order; each stage consumes its input and yields a type that cannot exist earlier: `cli` reads the command
//! line into [`options::Options`]; [`origin`] settles which task definition it is about, [`like_service`] and [`mod@derive`] being
//! the two ways to find one; [`plan`] fills in the rest; [`ingress`] lets the caller in, where that is asked for; [`networks`] are what decides whether a task can be reached directly; [`task`] launches
//! it; [`ready`] waits until it answers, and [`announcement`] for the host key in its log where that is trusted; `ssh` authenticates; `session` runs what was asked for, [`forward`] beside it, and [`recording`] keeps what it shows; [`login`] is the sentence over all
//! of them. [`gc`] clears away what is left, [`fleet`] shows and stops what runs, [`listing`] tells of what others run, [`exec`] runs a command there, and [`openssh`] has OpenSSH's client use a run. [`ssm`] is the way to a
//! container that has no way in: sessions of AWS Systems Manager. Beside it stand [`aws`] (one operation to a
//! file), [`ui`] (all of our own talk), [`signals`], [`timings`] and
//! [`price`].

pub mod announcement;
pub(crate) mod argv;
pub mod aws;
pub mod checkpoint;
pub mod cli;
pub mod derive;
pub mod error;
pub mod exec;
pub mod files;
pub mod fleet;
pub mod forward;
#[cfg(test)]
mod fuzz;
pub mod gc;
pub mod ingress;
pub mod like_service;
pub mod listing;
pub mod local;
pub mod login;
pub mod my_ip;
pub mod networks;
pub mod openssh;
pub mod options;
pub mod origin;
pub mod plan;
pub mod price;
pub mod ready;
pub mod recording;
pub mod run;
pub mod session;
pub mod signals;
pub mod ssh;
pub mod ssm;
pub mod task;
pub mod timings;
pub mod ui;

pub use run::run;
