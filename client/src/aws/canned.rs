//! An ECS or EC2 for tests that answers as told, inside this process, and keeps what it was asked. A request of EC2's is an
//! object of its form's members, and a text is answered as it is.

use std::sync::{Arc, Mutex};

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use serde_json::Value;

use super::Aws;

/// The operations that were called, each with its request, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked(Arc<Mutex<Vec<(String, Value)>>>);

impl Asked {
    pub(crate) fn all(&self) -> Vec<(String, Value)> {
        self.0.lock().expect("no panic").clone()
    }

    pub(crate) fn operations(&self) -> Vec<String> {
        self.all().into_iter().map(|(operation, _)| operation).collect()
    }
}

/// Services whose every call is answered by `answer`, which is given the operation and its request and says status and body.
pub(crate) fn answering(answer: impl Fn(&str, &Value) -> (u16, Value) + Send + Sync + 'static) -> (Aws, Asked) {
    let asked = Asked::default();
    let connector = SharedHttpConnector::new(Connector { answer: Arc::new(answer), asked: asked.clone() });
    let keys = Credentials::new("AKIDTEST", "secret", None, None, "canned");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url("http://canned.invalid")
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .retry_config(RetryConfig::disabled())
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build();
    (Aws::new(&config), asked)
}

type Answer = Arc<dyn Fn(&str, &Value) -> (u16, Value) + Send + Sync>;

struct Connector {
    answer: Answer,
    asked: Asked,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").map(str::to_owned);
        let body = request.body().bytes().expect("a body in memory");
        let length = request.headers().get("content-length").expect("a length");
        assert_eq!(length, body.len().to_string(), "the length that is signed is that of the body");
        let body: Value = match target {
            Some(_) => serde_json::from_slice(body).expect("JSON"),
            None => {
                form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), Value::from(&*value))).collect()
            }
        };
        let operation = match target {
            Some(target) => target.rsplit('.').next().expect("a name").to_owned(),
            None => body["Action"].as_str().expect("an operation").to_owned(),
        };
        let (status, answer) = (self.answer)(&operation, &body);
        let text = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
        self.asked.0.lock().expect("no panic").push((operation, body));
        let status = status.try_into().expect("a status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(text))))
    }
}
