//! `kms:GenerateDataKey`: the key of an encrypted session.

use zeroize::Zeroizing;

use super::{Aws, ServiceError};
use crate::ssm::{DataKey, DataKeyRequest};

const ACTION: &str = "kms:GenerateDataKey";
/// 32 bytes for each direction.
const BYTES: i32 = 64;

/// A fresh key of 64 bytes.
///
/// # Errors
/// [`ServiceError`].
pub async fn generate_data_key(aws: &Aws, request: &DataKeyRequest) -> Result<DataKey, ServiceError> {
    let mut call = aws.kms.generate_data_key().key_id(&request.key_id).number_of_bytes(BYTES);
    for (name, value) in &request.context {
        call = call.encryption_context(name, value);
    }
    let reply = call.send().await.map_err(|error| ServiceError::new(ACTION, &error))?;
    match (reply.plaintext, reply.ciphertext_blob) {
        (Some(plaintext), Some(ciphertext)) => {
            Ok(DataKey { plaintext: Zeroizing::new(plaintext.into_inner()), ciphertext: ciphertext.into_inner() })
        }
        _ => Err(ServiceError::without(ACTION, "a key")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::canned::answering;
    use super::*;
    use crate::error::Advice as _;

    fn request() -> DataKeyRequest {
        let context = vec![("aws:ssm:SessionId".to_owned(), "me-0a".to_owned())];
        DataKeyRequest { key_id: "alias/sessions".to_owned(), context }
    }

    #[tokio::test]
    async fn a_key_comes_in_clear_and_encrypted() {
        let (aws, asked) =
            answering(|_, _| (200, json!({"Plaintext": "AQID", "CiphertextBlob": "BAU=", "KeyId": "k"})));
        let key = generate_data_key(&aws, &request()).await.expect("a key");
        assert_eq!((key.plaintext.as_slice(), key.ciphertext.as_slice()), (&[1, 2, 3][..], &[4, 5][..]));
        let context = json!({"aws:ssm:SessionId": "me-0a"});
        let expected = json!({"KeyId": "alias/sessions", "EncryptionContext": context, "NumberOfBytes": 64});
        assert_eq!(asked.all(), [("GenerateDataKey".to_owned(), expected)]);
    }

    #[tokio::test]
    async fn who_may_not_is_told_which_right_is_missing() {
        let (aws, _) = answering(|_, _| (400, json!({"__type": "AccessDeniedException", "message": "no"})));
        let error = generate_data_key(&aws, &request()).await.expect_err("refused");
        assert!(error.hints()[0].contains("kms:GenerateDataKey"), "{:?}", error.hints());
        let (aws, _) = answering(|_, _| (200, json!({"KeyId": "k"})));
        assert!(generate_data_key(&aws, &request()).await.is_err());
    }
}
