//! The rules that let the caller in: they exist from a successful AuthorizeSecurityGroupIngress until [`Opening::revoke`],
//! which consumes them.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use ipnet::IpNet;

use crate::aws::authorize_security_group_ingress::{Authorized, authorize_security_group_ingress};
use crate::aws::describe_security_group_rules::describe_security_group_rules;
use crate::aws::revoke_security_group_ingress::revoke_security_group_ingress;
use crate::aws::{Aws, ServiceError};
use crate::error::Advice;
use crate::plan::ingress::Ingress;

/// Time that revoking may take before the user is told to do it.
pub const REVOKE_TIMEOUT: Duration = Duration::from_secs(20);
/// Time for asking whether a request was carried out whose answer did not come.
const FIND_TIMEOUT: Duration = Duration::from_secs(20);
/// First pause before a refused call is tried again; doubles, with jitter.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// The rules of ours that are in force.
#[derive(Debug)]
pub struct Opening {
    region: String,
    group: String,
    rules: Vec<(IpNet, String)>,
    others: Vec<IpNet>,
    closed: bool,
}

/// Why the caller could not be let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The service refused.
    #[error(transparent)]
    Refused(#[from] ServiceError),
    /// No answer, and no word of whether there is a rule now.
    #[error("{error}; whether {group} has a rule now is not known")]
    Unknown {
        /// What was heard instead of an answer.
        error: ServiceError,
        /// The group.
        group: String,
        /// The command that shows the group's rules.
        command: String,
    },
}

impl Advice for OpenError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Refused(error) => error.hints(),
            Self::Unknown { command, .. } => {
                vec![format!("look for it: {command}"), "`fargate-login gc` revokes it, if it has tags".to_owned()]
            }
        }
    }
}

/// Why a rule is still in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} could not be revoked: {reason}", .rules.join(", "))]
pub struct RevokeError {
    /// Ids of the rules.
    pub rules: Vec<String>,
    /// What stood in the way.
    pub reason: String,
    /// The command that revokes them.
    pub command: String,
}

impl Advice for RevokeError {
    fn hints(&self) -> Vec<String> {
        vec![
            format!("revoke it yourself: {}", self.command),
            "or leave it to `fargate-login gc`, if it has tags".to_owned(),
        ]
    }
}

impl Opening {
    /// Adds the rules, one after the other. Not a cancellation point: the caller runs this to its end. What was opened has to be
    /// revoked also when there is an error.
    pub async fn authorize(ingress: &Ingress, aws: &Aws) -> (Self, Result<(), OpenError>) {
        let (region, group) = (aws.region.clone(), ingress.group.clone());
        let mut opening = Self { region, group, rules: Vec::new(), others: Vec::new(), closed: false };
        for cidr in &ingress.cidrs {
            if let Err(error) = opening.admit(ingress, *cidr, aws).await {
                return (opening, Err(error));
            }
        }
        (opening, Ok(()))
    }

    /// Tries again what somebody else's rule admitted: that may have gone with the run that it was for. Not a cancellation point.
    /// Answers the rules that are ours now.
    pub async fn authorize_again(&mut self, ingress: &Ingress, aws: &Aws) -> Vec<(IpNet, String)> {
        let known = self.rules.len();
        for cidr in std::mem::take(&mut self.others) {
            if let Err(error) = self.admit(ingress, cidr, aws).await {
                tracing::warn!(%error, %cidr, "not added");
                self.others.push(cidr);
            }
        }
        self.rules.iter().skip(known).cloned().collect()
    }

    /// Rules of ours, with their ids.
    #[must_use]
    pub fn rules(&self) -> &[(IpNet, String)] {
        &self.rules
    }

    /// Ranges that somebody else's rule admits already; it is not ours to revoke.
    #[must_use]
    pub fn others(&self) -> &[IpNet] {
        &self.others
    }

    /// The exact command that revokes what is in force; `None` when that is nothing of ours.
    #[must_use]
    pub fn revoke_command(&self) -> Option<String> {
        let ids: Vec<&str> = self.rules.iter().map(|(_, id)| id.as_str()).collect();
        (!ids.is_empty()).then(|| {
            format!(
                "aws ec2 revoke-security-group-ingress --region {} --group-id {} --security-group-rule-ids {}",
                self.region,
                self.group,
                ids.join(" ")
            )
        })
    }

    /// Revokes the rules by their ids, within [`REVOKE_TIMEOUT`].
    ///
    /// # Errors
    /// [`RevokeError`] with the command that is left to the user.
    pub async fn revoke(mut self, aws: &Aws) -> Result<(), RevokeError> {
        self.closed = true;
        let deadline = tokio::time::Instant::now() + REVOKE_TIMEOUT;
        let mut reason = String::new();
        let mut left = Vec::new();
        for (cidr, id) in std::mem::take(&mut self.rules) {
            let call = || revoke_security_group_ingress(aws, &self.group, &id);
            let revoking = call.retry(backoff().without_max_times()).when(ServiceError::is_transient);
            match tokio::time::timeout_at(deadline, revoking).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => reason = error.to_string(),
                Err(_) => reason = format!("no success within {} s", REVOKE_TIMEOUT.as_secs()),
            }
            left.push((cidr, id));
        }
        self.rules = left;
        let rules = self.rules.iter().map(|(_, id)| id.clone()).collect();
        self.revoke_command().map_or(Ok(()), |command| Err(RevokeError { rules, reason, command }))
    }

    /// Gives the rules up without revoking them; the caller has told the user.
    pub fn abandon(mut self) {
        self.closed = true;
    }

    async fn admit(&mut self, ingress: &Ingress, cidr: IpNet, aws: &Aws) -> Result<(), OpenError> {
        let answer = authorize_security_group_ingress(aws, &ingress.request(cidr)).await;
        match answer {
            Ok(Authorized::Rule(id)) => self.rules.push((cidr, id)),
            // The SDK repeats a request whose answer was lost: the duplicate may be our own.
            Ok(Authorized::Duplicate) => match find(ingress, cidr, aws).await {
                Ok(Some(id)) => self.rules.push((cidr, id)),
                Ok(None) => self.others.push(cidr),
                Err(error) => {
                    tracing::warn!(%error, %cidr, "whose rule it is cannot be told: it stays");
                    self.others.push(cidr);
                }
            },
            Err(error) if error.is_transient() => match find(ingress, cidr, aws).await {
                Ok(Some(id)) => self.rules.push((cidr, id)),
                Ok(None) => return Err(OpenError::Refused(error)),
                Err(_) => {
                    let (group, command) = (self.group.clone(), self.describe_command());
                    return Err(OpenError::Unknown { error, group, command });
                }
            },
            Err(error) => return Err(OpenError::Refused(error)),
        }
        Ok(())
    }

    fn describe_command(&self) -> String {
        let Self { region, group, .. } = self;
        format!("aws ec2 describe-security-group-rules --region {region} --filters Name=group-id,Values={group}")
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(command) = self.revoke_command().filter(|_| !self.closed) {
            tracing::error!(group = %self.group, "left open; close it with: {command}");
        }
    }
}

/// The rule of this run for this range, which only its description tells from others: tags it may not have.
async fn find(ingress: &Ingress, cidr: IpNet, aws: &Aws) -> Result<Option<String>, ServiceError> {
    let call = || describe_security_group_rules(aws, ("group-id", &ingress.group));
    let asking = call.retry(backoff().without_max_times()).when(ServiceError::is_transient);
    let timeout =
        |_| ServiceError { action: "ec2:DescribeSecurityGroupRules", fault: crate::aws::error::Fault::Timeout };
    let rules = tokio::time::timeout(FIND_TIMEOUT, asking).await.map_err(timeout)??;
    let is_ours = |description: &str, range: Option<&str>| {
        description == ingress.description && range.and_then(|range| range.parse().ok()) == Some(cidr)
    };
    Ok(rules.into_iter().find(|rule| is_ours(&rule.description, rule.cidr.as_deref())).map(|rule| rule.id))
}

fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(RETRY_MIN).with_max_delay(RETRY_MAX).with_jitter()
}
