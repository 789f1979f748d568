//! What a channel asks of AWS, asked of AWS.

use std::sync::Arc;

use aws_config::SdkConfig;
use futures_util::future::BoxFuture;

use super::channel::Services;
use super::session::{DataKey, DataKeyRequest, DataKeys, Resume, Token};
use crate::aws::generate_data_key::generate_data_key;
use crate::aws::resume_session::resume_session;
use crate::aws::terminate_session::terminate_session;
use crate::aws::{Aws, ServiceError};

impl Services {
    /// The services of a configuration, with its credentials and region.
    #[must_use]
    pub fn of_aws(config: &SdkConfig) -> Self {
        Self::of(&Aws::new(config))
    }

    /// The services of these clients.
    #[must_use]
    pub fn of(aws: &Aws) -> Self {
        let aws = Arc::new(aws.clone());
        Self { signer: aws.signer.clone(), resume: Arc::<Aws>::clone(&aws), keys: aws }
    }
}

impl Resume for Aws {
    fn resume<'a>(&'a self, session_id: &'a str) -> BoxFuture<'a, Result<Option<Token>, ServiceError>> {
        Box::pin(resume_session(self, session_id))
    }

    fn terminate<'a>(&'a self, session_id: &'a str) -> BoxFuture<'a, Result<(), ServiceError>> {
        Box::pin(terminate_session(self, session_id))
    }
}

impl DataKeys for Aws {
    fn data_key<'a>(&'a self, request: &'a DataKeyRequest) -> BoxFuture<'a, Result<DataKey, ServiceError>> {
        Box::pin(generate_data_key(self, request))
    }
}
