//! The flag that says how connections reach the task.

use clap::Args;

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
}

/// A route.
fn route(text: &str) -> Result<Via, BadValue> {
    [Via::Auto, Via::Direct, Via::Ssm]
        .into_iter()
        .find(|known| known.name() == text)
        .ok_or_else(|| BadValue::new("is not a way to the task", "write `auto`, `direct` or `ssm`"))
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
}
