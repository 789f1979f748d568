//! KMS (AWS JSON 1.1): `GenerateDataKey` and `Decrypt`, with keys that exist by name only and one real key behind all of them.

use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, RandomizedNonceKey};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::ACCOUNT;
use crate::error::ApiError;
use crate::protocol::aws_json;
use crate::state::Shared;

/// Most bytes of a data key (KMS API reference, GenerateDataKey).
const BYTES_MAX: usize = 1024;
/// Between the key's name and what it sealed.
const SEPARATOR: u8 = 0;

/// Pairs that are sealed with a data key and must be named to open it.
type Context = BTreeMap<String, String>;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Generation {
    key_id: Option<String>,
    number_of_bytes: Option<usize>,
    key_spec: Option<String>,
    encryption_context: Context,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Decryption {
    ciphertext_blob: Option<String>,
    key_id: Option<String>,
    encryption_context: Context,
}

/// What seals data keys, for as long as the stand-in lives.
pub(crate) struct MasterKey(RandomizedNonceKey);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey")
    }
}

impl MasterKey {
    pub(crate) fn new() -> Self {
        let key = Zeroizing::new(::rand::random::<[u8; 32]>());
        // 32 bytes are what this algorithm takes.
        Self(RandomizedNonceKey::new(&AES_256_GCM, &*key).expect("32 bytes are a key"))
    }

    fn seal(&self, plain: &[u8], context: &Context) -> Result<Vec<u8>, ApiError> {
        let mut text = plain.to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(bound(context)), &mut text);
        let nonce = nonce.map_err(|_| ApiError::server("kms"))?;
        Ok([&nonce.as_ref()[..], &text].concat())
    }

    fn open(&self, sealed: &[u8], context: &Context) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = aws_lc_rs::aead::Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self.0.open_in_place(nonce, Aad::from(bound(context)), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

/// The pairs as bytes, in one way only.
fn bound(context: &Context) -> Vec<u8> {
    json!(context).to_string().into_bytes()
}

/// Answers a call.
pub(crate) fn call(shared: &Shared, action: &str, request: &Value) -> Result<Value, ApiError> {
    match action {
        "GenerateDataKey" => generate(shared, request),
        "Decrypt" => decrypt(shared, request),
        _ => Err(ApiError::new("UnknownOperationException", "")),
    }
}

fn generate(shared: &Shared, request: &Value) -> Result<Value, ApiError> {
    let request: Generation = aws_json::parse(request)?;
    let arn = find(shared, request.key_id.as_deref().unwrap_or_default())?;
    let bytes = match (request.number_of_bytes, request.key_spec.as_deref()) {
        (Some(bytes @ 1..=BYTES_MAX), None) => bytes,
        (None, Some("AES_256")) => 32,
        (None, Some("AES_128")) => 16,
        _ => {
            let message = "Please specify either number of bytes or key spec.";
            return Err(ApiError::new("ValidationException", message));
        }
    };
    let mut key = Zeroizing::new(vec![0; bytes]);
    rand::fill(&mut key).map_err(|_| ApiError::server("kms"))?;
    let sealed = shared.master_key.seal(&key, &request.encryption_context)?;
    let blob = [arn.as_bytes(), &[SEPARATOR], &sealed].concat();
    Ok(json!({
        "CiphertextBlob": BASE64_STANDARD.encode(blob),
        "Plaintext": BASE64_STANDARD.encode(&*key),
        "KeyId": arn,
    }))
}

fn decrypt(shared: &Shared, request: &Value) -> Result<Value, ApiError> {
    let request: Decryption = aws_json::parse(request)?;
    let (arn, plain) =
        open(shared, request.ciphertext_blob.as_deref().unwrap_or_default(), &request.encryption_context)?;
    if let Some(given) = &request.key_id
        && find(shared, given)? != arn
    {
        let message = "The key ID in the request does not identify a CMK that can perform this operation.";
        return Err(ApiError::new("IncorrectKeyException", message));
    }
    Ok(json!({
        "KeyId": arn,
        "Plaintext": BASE64_STANDARD.encode(&*plain),
        "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
    }))
}

/// Decrypt as an agent calls it, with the permissions of its role.
pub(crate) fn decrypt_for_agent(
    shared: &Shared,
    blob: &str,
    context: &Context,
) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    if shared.lock().faults.denies("kms:Decrypt") {
        return Err(ApiError::denied("kms", "Decrypt"));
    }
    open(shared, blob, context).map(|(_, plain)| plain)
}

fn open(shared: &Shared, blob: &str, context: &Context) -> Result<(String, Zeroizing<Vec<u8>>), ApiError> {
    let opened = || {
        let blob = BASE64_STANDARD.decode(blob).ok()?;
        let mut parts = blob.splitn(2, |byte| *byte == SEPARATOR);
        let arn = String::from_utf8(parts.next()?.to_vec()).ok()?;
        Some((arn, shared.master_key.open(parts.next()?, context)?))
    };
    // KMS has no words for it.
    opened().ok_or_else(|| ApiError::new("InvalidCiphertextException", ""))
}

/// The ARN of a key that there is, from its id, alias or ARN.
fn find(shared: &Shared, given: &str) -> Result<String, ApiError> {
    if given.is_empty() {
        let message = "1 validation error detected: Value at 'keyId' failed to satisfy constraint: Member must have length greater than or equal to 1";
        return Err(ApiError::new("ValidationException", message));
    }
    let arn = |name: &str| {
        let resource = if name.starts_with("alias/") { name.to_owned() } else { format!("key/{name}") };
        let is_arn = name.starts_with("arn:");
        if is_arn { name.to_owned() } else { format!("arn:aws:kms:{}:{ACCOUNT}:{resource}", shared.config.region) }
    };
    let wanted = arn(given);
    let is_known = shared.config.keys.iter().chain(&shared.config.session_key).any(|known| arn(known) == wanted);
    let what = if given.contains("alias/") { "Alias" } else { "Key" };
    let missing = || ApiError::new("NotFoundException", format!("{what} '{wanted}' does not exist"));
    if is_known { Ok(wanted) } else { Err(missing()) }
}
