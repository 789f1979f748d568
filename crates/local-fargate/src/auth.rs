//! Signature Version 4, as far as a stand-in can hold to it: present, well-formed, scoped to the service and region, and by
//! nobody real. The signature itself is not checked: there is no secret to check it with.

use crate::error::ApiError;

/// Characters of an access key id that AWS hands out: `AKIA` or `ASIA` and 16 more (IAM identifiers).
const REAL_KEY_CHARS: usize = 20;
/// `20261121`.
const DATE_DIGITS: usize = 8;
/// SHA-256 in hexadecimal.
const SIGNATURE_DIGITS: usize = 64;

/// Checks the `Authorization` header of a request to `service` in `region`.
pub(crate) fn check(authorization: Option<&str>, service: &str, region: &str) -> Result<(), ApiError> {
    let header = authorization.ok_or_else(|| {
        // JSON services end their codes in `Exception`, Query services do not.
        let code = if ["ecs", "logs", "ssm", "ssmmessages", "kms"].contains(&service) {
            "MissingAuthenticationTokenException"
        } else {
            "MissingAuthenticationToken"
        };
        ApiError::new(code, "Missing Authentication Token")
    })?;
    let incomplete = || {
        ApiError::new(
            "IncompleteSignatureException",
            "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature'.",
        )
    };
    let fields = header.strip_prefix("AWS4-HMAC-SHA256 ").ok_or_else(incomplete)?;
    let field = |name: &str| fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
    let (credential, headers, signature) = (
        field("Credential").ok_or_else(incomplete)?,
        field("SignedHeaders").ok_or_else(incomplete)?,
        field("Signature").ok_or_else(incomplete)?,
    );
    let scope: Vec<_> = credential.split('/').collect();
    let [key, date, scoped_region, scoped, "aws4_request"] = scope.as_slice() else { return Err(incomplete()) };
    let is_hex = signature.len() == SIGNATURE_DIGITS && signature.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_date = date.len() == DATE_DIGITS && date.bytes().all(|byte| byte.is_ascii_digit());
    if key.is_empty() || !is_date || !is_hex || !headers.split(';').any(|name| name == "host") {
        return Err(incomplete());
    }
    if key.len() == REAL_KEY_CHARS && (key.starts_with("AKIA") || key.starts_with("ASIA")) {
        return Err(ApiError::new(
            "UnrecognizedClientException",
            "these look like real AWS credentials, which have no business here: use made-up ones",
        ));
    }
    let wrong = |what: &str, right: &str| {
        let message = format!("Credential should be scoped to correct {what}: '{right}'.");
        Err(ApiError::new("InvalidSignatureException", message))
    };
    if *scoped != service {
        return wrong("service", service);
    }
    if *scoped_region != region {
        return wrong("region", region);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(key: &str, region: &str, service: &str, signature: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential={key}/20261121/{region}/{service}/aws4_request, SignedHeaders=host;x-amz-date, Signature={signature}"
        )
    }

    #[test]
    fn only_made_up_keys_for_the_right_service_and_region_pass() {
        let code = |header: Option<&str>| check(header, "ecs", "us-east-1").map_err(|error| error.code);
        let signature = "0a".repeat(32);
        assert_eq!(code(Some(&header("local", "us-east-1", "ecs", &signature))), Ok(()));
        assert_eq!(code(None), Err("MissingAuthenticationTokenException"));
        assert_eq!(check(None, "ec2", "us-east-1").map_err(|error| error.code), Err("MissingAuthenticationToken"));
        assert_eq!(code(Some("Bearer x")), Err("IncompleteSignatureException"));
        assert_eq!(code(Some(&header("local", "us-east-1", "ecs", "00"))), Err("IncompleteSignatureException"));
        assert_eq!(code(Some(&header("local", "us-east-1", "ec2", &signature))), Err("InvalidSignatureException"));
        assert_eq!(code(Some(&header("local", "eu-west-1", "ecs", &signature))), Err("InvalidSignatureException"));
        let real = header("AKIAIOSFODNN7EXAMPLE", "us-east-1", "ecs", &signature);
        assert_eq!(code(Some(&real)), Err("UnrecognizedClientException"));
    }
}
