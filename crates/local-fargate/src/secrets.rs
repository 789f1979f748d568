//! Secrets Manager and Parameter Store, as far as a task definition's `secrets` need them: values out of the configuration.

use std::collections::BTreeMap;

use serde_json::Value;

/// The secrets there are: by ARN, or by the name of a secret or parameter.
#[derive(Clone, Default)]
pub struct Secrets(BTreeMap<String, String>);

impl std::fmt::Debug for Secrets {
    /// The names only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl FromIterator<(String, String)> for Secrets {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(pairs: T) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// What `valueFrom` can be.
#[derive(Debug, PartialEq, Eq)]
enum Reference<'a> {
    /// `arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX:JSON-KEY:STAGE:VERSION`; the last three may be empty or absent.
    Secret { arn: String, name: &'a str, key: Option<&'a str> },
    /// A parameter's ARN or name.
    Parameter { name: &'a str },
}

/// The value of a secret, or the stopped reason of a task that needs it.
pub(crate) fn resolve(secrets: &Secrets, value_from: &str) -> Result<String, String> {
    match reference(value_from) {
        Reference::Secret { arn, name, key } => {
            let plain =
                secrets.0.get(&arn).or_else(|| secrets.0.get(name)).or_else(|| secrets.0.get(without_suffix(name)));
            let value = plain.ok_or_else(|| {
                asm(&format!(
                    "failed to fetch secret {arn} from secrets manager: ResourceNotFoundException: Secrets Manager can't find the specified secret."
                ))
            })?;
            match key {
                None => Ok(value.clone()),
                Some(key) => member(value, key).ok_or_else(|| {
                    asm(&format!("retrieved secret from Secrets Manager did not contain json key {key}"))
                }),
            }
        }
        Reference::Parameter { name } => {
            let slashed = format!("/{name}");
            let found = secrets.0.get(value_from).or_else(|| secrets.0.get(name)).or_else(|| secrets.0.get(&slashed));
            found.cloned().ok_or_else(|| {
                format!(
                    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: \
                     unable to retrieve secrets from ssm: service call has been retried 1 time(s): invalid ssm parameters: {name}"
                )
            })
        }
    }
}

fn asm(what: &str) -> String {
    format!(
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: \
         unable to retrieve secret from asm: service call has been retried 1 time(s): {what}"
    )
}

fn reference(value_from: &str) -> Reference<'_> {
    let parts: Vec<_> = value_from.split(':').collect();
    match parts.as_slice() {
        ["arn", _, "secretsmanager", _, _, "secret", name, rest @ ..] => Reference::Secret {
            arn: parts.iter().take(7).copied().collect::<Vec<_>>().join(":"),
            name,
            key: rest.first().copied().filter(|key| !key.is_empty()),
        },
        ["arn", _, "ssm", _, _, parameter] => {
            Reference::Parameter { name: parameter.strip_prefix("parameter/").unwrap_or(parameter) }
        }
        _ => Reference::Parameter { name: value_from },
    }
}

/// Secrets Manager adds a hyphen and six characters to the name in an ARN.
fn without_suffix(name: &str) -> &str {
    const SUFFIX: usize = 6;
    name.rsplit_once('-').filter(|(_, suffix)| suffix.len() == SUFFIX).map_or(name, |(name, _)| name)
}

fn member(json: &str, key: &str) -> Option<String> {
    let parsed: Value = serde_json::from_str(json).ok()?;
    match parsed.get(key)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_by_arn_by_name_and_by_key() {
        let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:db/web-AbCdEf";
        let secrets: Secrets = [("db/web", r#"{"password": "hush", "port": 5432}"#), ("/app/token", "t")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect();
        let value = |from: &str| resolve(&secrets, from);
        assert_eq!(value(&format!("{arn}:password::")).as_deref(), Ok("hush"));
        assert_eq!(value(&format!("{arn}:port::")).as_deref(), Ok("5432"));
        assert!(value(arn).is_ok_and(|whole| whole.starts_with('{')));
        assert_eq!(value("/app/token").as_deref(), Ok("t"));
        assert_eq!(value("arn:aws:ssm:us-east-1:000000000000:parameter/app/token").as_deref(), Ok("t"));
        assert!(value(&format!("{arn}:user::")).is_err_and(|reason| reason.contains("json key user")));
        assert!(value("/app/other").is_err_and(|reason| reason.contains("invalid ssm parameters: /app/other")));
        let missing = "arn:aws:secretsmanager:us-east-1:000000000000:secret:other-AbCdEf";
        assert!(value(missing).is_err_and(|reason| reason.contains("can't find the specified secret")));
        assert!(!format!("{secrets:?}").contains("hush"));
    }
}
