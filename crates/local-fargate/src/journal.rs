//! Every call received, in order; in memory only.

use std::collections::VecDeque;

use serde_json::Value;

/// Calls kept; the oldest go first. Far more than a test makes, and a few MiB in a stand-in that serves for days.
const CALLS_MAX: usize = 10_000;

/// One call received.
#[derive(Clone)]
pub struct Call {
    /// `ecs`, `ec2`, `sts`, `logs`, `ssm`, `kms` or, for data channels, `ssmmessages`.
    pub service: &'static str,
    /// Such as `RunTask`.
    pub action: String,
    /// The request's members, as they came.
    pub request: Value,
    /// Code of the error that was answered.
    pub error: Option<String>,
}

impl std::fmt::Debug for Call {
    /// Without the request: overrides may carry what nobody should read.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{} {:?}", self.service, self.action, self.error)
    }
}

/// The calls so far.
#[derive(Debug, Default)]
pub(crate) struct Journal(VecDeque<Call>);

impl Journal {
    pub(crate) fn push(&mut self, call: Call) {
        if self.0.len() == CALLS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(call);
    }

    pub(crate) fn to_vec(&self) -> Vec<Call> {
        self.0.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_no_request() {
        let request = serde_json::json!({"overrides": "hush"});
        let call = Call { service: "ecs", action: "RunTask".to_owned(), request, error: None };
        assert_eq!(format!("{call:?}"), "ecs:RunTask None");
    }

    #[test]
    fn the_oldest_calls_go_first() {
        let mut journal = Journal::default();
        for number in 0..=CALLS_MAX {
            journal.push(Call { service: "ecs", action: number.to_string(), request: Value::Null, error: None });
        }
        let kept = journal.to_vec();
        assert_eq!((kept.len(), kept[0].action.as_str()), (CALLS_MAX, "1"));
    }
}
