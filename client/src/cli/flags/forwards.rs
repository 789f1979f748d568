//! The flags of forwards.

use clap::Args;

use super::Flags;
use crate::cli::{forward_values, help, listing_values, values};
use crate::forward::announce::Format;
use crate::forward::spec::{Forward, Listen, RemoteForward, Target};

/// What is forwarded, and what the connection is for if not for a session.
#[derive(Clone, Debug, Default, Args)]
pub(in crate::cli) struct ForwardFlags {
    /// Have the task connect to HOST:HOSTPORT for whoever connects to PORT here, as [BIND:]PORT:HOST:HOSTPORT; a socket's path can stand
    /// on either side; port 0 is chosen and printed; repeatable
    #[arg(short = 'L', long, value_name = "SPEC", value_parser = forward_values::forward,
        help_heading = help::FORWARDS)]
    pub(in crate::cli) local_forward: Vec<Forward>,
    /// Connect from here to HOST:HOSTPORT for whoever connects to PORT of the task, in the same spelling; without
    /// HOST:HOSTPORT, to what the SOCKS client there names; repeatable
    #[arg(short = 'R', long, value_name = "SPEC", value_parser = forward_values::remote_forward,
        help_heading = help::FORWARDS)]
    pub(in crate::cli) remote_forward: Vec<RemoteForward>,
    /// Serve SOCKS 4a and 5 on [BIND:]PORT, and have the task connect; repeatable
    #[arg(short = 'D', long, value_name = "SPEC", value_parser = forward_values::listen,
        help_heading = help::FORWARDS)]
    pub(in crate::cli) dynamic_forward: Vec<Listen>,
    /// Let the session use the agent of SSH_AUTH_SOCK
    #[arg(short = 'A', long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = values::switch, help_heading = help::FORWARDS)]
    pub(in crate::cli) forward_agent: Option<bool>,
    /// Go on without the listeners that cannot be had [default: a run without one of them fails]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = values::switch, help_heading = help::FORWARDS)]
    pub(in crate::cli) keep_going: Option<bool>,
    /// Run nothing: hold the forwards until a signal
    #[arg(short = 'N', help_heading = help::FORWARDS)]
    pub(in crate::cli) no_command: bool,
    /// Run nothing: standard input and output are one connection that the task makes
    #[arg(short = 'W', value_name = "HOST:PORT", value_parser = forward_values::target,
        help_heading = help::FORWARDS)]
    pub(in crate::cli) stdio: Option<Target>,
    /// Run the command after -- on this machine, with the forwards up; {host} and {port} in it, or FARGATE_LOGIN_FORWARD_1_HOST and _PORT
    /// in its environment, say where
    #[arg(long, help_heading = help::FORWARDS)]
    pub(in crate::cli) exec: bool,
    /// With -N: how listeners are told, text, or json or env on standard output [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = forward_values::format, help_heading = help::FORWARDS)]
    pub(in crate::cli) output: Option<Format>,
}

/// The flags of `forward`: those of a login, and forwards without their `-L`.
#[derive(Clone, Debug, Default, Args)]
#[command(args_override_self = true)]
pub(in crate::cli) struct TunnelFlags {
    /// Forwards, as -L has them
    #[arg(value_name = "SPEC", value_parser = forward_values::forward)]
    specs: Vec<Forward>,
    /// Run no task: the agent of this container or instance connects, over sessions of AWS Systems Manager, as
    /// ecs:CLUSTER_TASK_RUNTIMEID (fargate-login describe shows it), i-... or mi-...
    #[arg(long, value_name = "TARGET", value_parser = forward_values::session_target, help_heading = help::FORWARDS)]
    pub(in crate::cli) target: Option<String>,
    /// The same, by the agent of whichever task of this service runs; --cluster and --container say which
    #[arg(long, value_name = "NAME", value_parser = listing_values::service, help_heading = help::FORWARDS)]
    pub(in crate::cli) service: Option<String>,
    #[command(flatten)]
    login: Flags,
}

impl TunnelFlags {
    /// Whether they say that no task is run.
    pub(in crate::cli) const fn names_target(&self) -> bool {
        self.target.is_some() || self.service.is_some()
    }

    /// The same, as flags of a login that runs nothing.
    pub(in crate::cli) fn into_flags(self) -> Flags {
        let mut flags = self.login;
        flags.forwards.local_forward.splice(0..0, self.specs);
        flags.forwards.no_command = true;
        flags
    }
}
