//! Who guesses the names of users learns nothing: a wrong key is refused before the name is looked at, in the same words and on
//! the same path.

use std::sync::Arc;

use fargate_contract::HostSeed;
use russh::client::{self, Handle};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate};

use crate::assert_serves;
use crate::container::{Container, PORT};

struct Anybody;

impl client::Handler for Anybody {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// All that a stranger is told: about no method, a password, and two attempts with a wrong key.
async fn told(container: &Container, user: &str) -> Vec<String> {
    let config = client::Config { preferred: ssh_flow::preferred(), ..client::Config::default() };
    let connected = client::connect(Arc::new(config), (container.address, PORT), Anybody).await;
    let mut handle: Handle<Anybody> = connected.expect("SSH");
    let key = || PrivateKeyWithHashAlg::new(Arc::new(HostSeed::new([9; 32]).private_key()), None);
    let mut told = vec![
        format!("{:?}", handle.authenticate_none(user).await),
        format!("{:?}", handle.authenticate_password(user, "hunter2").await),
    ];
    for _ in 0..2 {
        told.push(format!("{:?}", handle.authenticate_publickey(user, key()).await));
    }
    told
}

#[tokio::test]
async fn no_name_is_told_from_another() {
    let mut container = Container::start(&[]);
    let known = told(&container, "root").await;
    assert_eq!(known.len(), 4);
    for user in ["daemon", "nobody-here", "", "x; rm -rf /", &"n".repeat(100_000)] {
        assert_eq!(told(&container, user).await, known, "{}", &user[..user.len().min(20)]);
    }
    assert_serves(&container, &[]);
    assert_eq!(container.ended(), 7);
    let refused: Vec<_> = container.events.iter().filter(|event| event["event"] == "auth_refused").collect();
    let keys = refused.iter().filter(|event| event["fingerprint"].is_string());
    assert!(keys.clone().count() >= 12 && keys.clone().all(|event| event["reason"] == "not the authorized key"));
    for event in refused {
        let user = event["user"].as_str().expect("a name");
        assert!(["root", "daemon", "nobody-here", "(no name of an account)"].contains(&user), "{user}");
    }
    let log = format!("{:?}", container.events);
    assert!(!log.contains("hunter2") && !log.contains("rm -rf"), "{log}");
}
