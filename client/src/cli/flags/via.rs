//! The flag that says how connections reach the task.

use clap::Args;
use fargate_contract::limits::LINKS_MAX;

use crate::cli::help;
use crate::cli::values::BadValue;
use crate::options::Via;

/// How connections reach the task.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(in crate::cli) struct ViaFlags {
    /// How connections reach the task: direct (to its address), ssm (through sessions of Systems Manager: no inbound rule, no public
    /// address, about 0.8 MB/s down each) or auto (direct where that can be, else ssm) [default: auto]
    #[arg(long, value_name = "ROUTE", value_parser = route, help_heading = help::SESSION)]
    pub(in crate::cli) via: Option<Via>,
    /// Sessions of Systems Manager that one connection may have, 1 to 16: others are opened while what comes from the task fills those
    /// it has [default: 4]
    #[arg(long, value_name = "NUMBER", value_parser = sessions, help_heading = help::SESSION)]
    pub(in crate::cli) ssm_sessions: Option<u8>,
}

/// A route.
fn route(text: &str) -> Result<Via, BadValue> {
    [Via::Auto, Via::Direct, Via::Ssm]
        .into_iter()
        .find(|known| known.name() == text)
        .ok_or_else(|| BadValue::new("is not a way to the task", "write `auto`, `direct` or `ssm`"))
}

/// A number of sessions.
fn sessions(text: &str) -> Result<u8, BadValue> {
    let number = text.parse().ok().filter(|number| (1..=LINKS_MAX).contains(number));
    number
        .ok_or_else(|| BadValue::new("is not a number of sessions", format!("a connection has from 1 to {LINKS_MAX}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_have_names() {
        assert_eq!(
            ["auto", "direct", "ssm"].map(|text| route(text).ok()),
            [Some(Via::Auto), Some(Via::Direct), Some(Via::Ssm)]
        );
        for wrong in ["", "SSM", "vpn"] {
            assert!(route(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn there_is_one_session_at_least() {
        assert_eq!(["1", "4", "16"].map(|text| sessions(text).ok()), [Some(1), Some(4), Some(16)]);
        for wrong in ["", "0", "17", "-1", "many"] {
            assert!(sessions(wrong).is_err(), "{wrong}");
        }
    }
}
