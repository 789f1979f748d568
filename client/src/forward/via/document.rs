//! The document of a session that goes to a target's own port, or to a port of a host that it reaches.

use crate::aws::start_session::StartSessionRequest;
use crate::forward::spec::Target;

/// Goes to a port of the target itself.
const TO_TARGET: &str = "AWS-StartPortForwardingSession";
/// Goes from the target to a port of another host.
const TO_HOST: &str = "AWS-StartPortForwardingSessionToRemoteHost";
/// For CloudTrail and `aws ssm describe-sessions`.
const REASON: &str = "fargate-login forward";

/// What is asked for, so that `target` connects to `host` and `port`, and `None` for the socket of another kind.
pub(super) fn request(target: &str, to: &Target) -> Option<StartSessionRequest> {
    let Target::Tcp { host, port } = to else { return None };
    let mut parameters = vec![("portNumber".to_owned(), port.to_string())];
    let document = if is_target_itself(host) {
        TO_TARGET
    } else {
        parameters.push(("host".to_owned(), host.clone()));
        TO_HOST
    };
    Some(StartSessionRequest {
        target: target.to_owned(),
        document: Some(document.to_owned()),
        parameters,
        reason: Some(REASON.to_owned()),
    })
}

/// Agents connect to `localhost` of their own accord, by whichever of its addresses answers. As a host to go on to they refuse it, since
/// September 2026 and by any of its names (rewind-community/aws-connect, pull request 32).
fn is_target_itself(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || ["127.0.0.1", "::1"].contains(&host)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn tcp(host: &str) -> Target {
        Target::Tcp { host: host.to_owned(), port: 5432 }
    }

    #[test]
    fn the_targets_own_ports_and_those_of_others_have_their_documents() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "::1"] {
            let asked = request("i-1", &tcp(host)).expect("a request");
            assert_eq!(asked.document.as_deref(), Some("AWS-StartPortForwardingSession"), "{host}");
            assert_eq!(asked.parameters, [("portNumber".to_owned(), "5432".to_owned())]);
        }
        for host in ["db.internal", "10.0.0.7", "127.0.0.2"] {
            let asked = request("i-1", &tcp(host)).expect("a request");
            assert_eq!(asked.document.as_deref(), Some("AWS-StartPortForwardingSessionToRemoteHost"), "{host}");
            assert_eq!(asked.parameters[1], ("host".to_owned(), host.to_owned()));
        }
        assert_eq!(request("i-1", &Target::Unix(PathBuf::from("/run/x"))), None);
    }
}
