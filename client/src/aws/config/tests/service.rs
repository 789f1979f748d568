//! An HTTP service on a loopback port that answers as told and keeps what it was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// One request: its head as sent, and the fields of its form.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) head: String,
    form: HashMap<String, String>,
}

impl Request {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.form.get(name).map(String::as_str)
    }

    /// Access key id that signed it.
    pub(super) fn signer(&self) -> &str {
        let (_, credential) = self.head.split_once("Credential=").expect("a signed request");
        credential.split('/').next().expect("a key id")
    }
}

/// Status line without version, and body.
type Answer = (&'static str, String);

pub(super) struct Service {
    pub(super) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Service {
    pub(super) async fn start(answer: impl Fn(&Request) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            // One after the other: the clients of these tests ask one thing at a time.
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(request) = read(&mut stream).await else { continue };
                kept.lock().expect("no panic").push(request.clone());
                let (status, body) = answer(&request);
                let length = body.len();
                let reply = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
                stream.write_all(reply.as_bytes()).await.expect("a reader");
            }
        });
        Self { url, requests, task }
    }

    /// STS, as far as `AssumeRole`: the keys are named after the role, and `000000` is never the right code.
    pub(super) async fn sts(lifetime: Duration) -> Self {
        Self::start(move |request| {
            if request.field("TokenCode") == Some("000000") {
                return ("403 Forbidden", REFUSAL.to_owned());
            }
            let arn = request.field("RoleArn").expect("a role");
            let role = arn.rsplit('/').next().expect("a name");
            ("200 OK", assumed(role, SystemTime::now() + lifetime))
        })
        .await
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const REFUSAL: &str = r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>MultiFactorAuthentication failed with invalid MFA one time pass code. </Message></Error><RequestId>r-1</RequestId></ErrorResponse>"#;

fn assumed(role: &str, expiry: SystemTime) -> String {
    let expiry = jiff::Timestamp::try_from(expiry).expect("in range").strftime("%Y-%m-%dT%H:%M:%SZ");
    format!(
        r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>ASIA-{role}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken><Expiration>{expiry}</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>AROA:s</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/{role}/s</Arn></AssumedRoleUser></AssumeRoleResult><ResponseMetadata><RequestId>r-2</RequestId></ResponseMetadata></AssumeRoleResponse>"#
    )
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).expect("ASCII");
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let body = &bytes[end + 4..];
            if body.len() >= length.unwrap_or(0) {
                return Some(Request { head, form: form_urlencoded::parse(body).into_owned().collect() });
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
