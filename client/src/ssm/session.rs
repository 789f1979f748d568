//! A session that AWS has granted: its name, where its data channel is, and the token that opens it once.

use std::fmt;

use futures_util::future::BoxFuture;
use zeroize::Zeroizing;

use crate::aws::{ServiceError, last_part};

/// What `ssm:StartSession` and `ecs:ExecuteCommand` answer.
#[derive(Clone, Debug)]
pub struct Session {
    /// The session's name, which CloudTrail and `aws ssm describe-sessions` show.
    pub id: String,
    /// `wss://` address of the data channel, used as it stands.
    pub stream_url: String,
    /// Opens the data channel.
    pub token: Token,
    /// What the session goes to, such as `ecs:<cluster>_<task>_<runtime id>`: part of what encrypted sessions agree upon.
    pub target: String,
}

/// The target of sessions to a container: names or ARNs of its cluster and its task, and its `runtimeId` (DescribeTasks).
#[must_use]
pub fn ecs_target(cluster: &str, task: &str, runtime_id: &str) -> String {
    format!("ecs:{}_{}_{runtime_id}", last_part(cluster), last_part(task))
}

/// Opens a data channel. Wiped when it is dropped, and never shown.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// Takes the `TokenValue` of an answer.
    #[must_use]
    pub fn new(value: &str) -> Self {
        Self(Zeroizing::new(value.to_owned()))
    }

    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// A fresh key for an encrypted session, 64 bytes: in clear for us, and as KMS gives it to the agent.
pub struct DataKey {
    /// The key. The client decrypts with its first half and encrypts with its second.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The same, encrypted by KMS (`CiphertextBlob`).
    pub ciphertext: Vec<u8>,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

/// What a key is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKeyRequest {
    /// Id, ARN or alias of the KMS key that the session's preferences name.
    pub key_id: String,
    /// The encryption context: names and values that `kms:Decrypt` must repeat.
    pub context: Vec<(String, String)>,
}

/// Brings a session back whose connection was cut, and ends it.
pub trait Resume: Send + Sync {
    /// A new token for the session; `None` when it is over.
    fn resume<'a>(&'a self, session_id: &'a str) -> BoxFuture<'a, Result<Option<Token>, ServiceError>>;

    /// Ends the session.
    fn terminate<'a>(&'a self, session_id: &'a str) -> BoxFuture<'a, Result<(), ServiceError>>;
}

/// Makes the keys of encrypted sessions.
pub trait DataKeys: Send + Sync {
    /// A fresh key of 64 bytes.
    fn data_key<'a>(&'a self, request: &'a DataKeyRequest) -> BoxFuture<'a, Result<DataKey, ServiceError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_named_by_cluster_task_and_runtime() {
        assert_eq!(ecs_target("shop", "1", "1-2"), "ecs:shop_1_1-2");
        let arn = |rest: &str| format!("arn:aws:ecs:eu-west-1:000000000000:{rest}");
        assert_eq!(ecs_target(&arn("cluster/shop"), &arn("task/shop/1"), "1-2"), "ecs:shop_1_1-2");
    }

    #[test]
    fn secrets_are_not_shown() {
        let session = Session {
            id: "me-0a".to_owned(),
            stream_url: "wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/me-0a".to_owned(),
            token: Token::new("hush"),
            target: "ecs:shop_1_2".to_owned(),
        };
        assert!(!format!("{session:?}").contains("hush"));
        let key = DataKey { plaintext: Zeroizing::new(vec![1; 64]), ciphertext: vec![2] };
        assert_eq!(format!("{key:?}"), "DataKey(..)");
    }
}
