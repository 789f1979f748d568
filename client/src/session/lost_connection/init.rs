//! A container's init in the test's own process, with its log.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fargate_contract::{Connections, Grant, HostSeed};
use fargate_init::audit::Audit;
use fargate_init::engine::Engine;
use fargate_init::log::Log;
use fargate_init::serve::{Container, serve};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::session::way_back::WayBack;
use crate::ssh::host_key::HostKey;
use crate::ssh::identity::OneTimeKey;
use crate::ssh::{Connection, Settings, SshError, connect};

/// An init that listens.
pub(super) struct Init {
    pub(super) address: SocketAddr,
    pub(super) server: JoinHandle<u8>,
    settings: Settings,
    log: Lines,
    home: tempfile::TempDir,
}

/// The way back to it, through whatever is at this address.
pub(super) struct Way {
    address: SocketAddr,
    settings: Settings,
}

#[derive(Clone, Default)]
struct Lines {
    text: Arc<Mutex<String>>,
    written: Arc<Notify>,
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.text.lock().expect("not poisoned").push_str(&String::from_utf8_lossy(line));
        self.written.notify_waiters();
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Init {
    pub(super) async fn start(grace: Duration) -> Self {
        Self::start_for(Connections::Once, grace).await
    }

    /// One that its client may log in to again.
    pub(super) async fn start_for_many(grace: Duration) -> Self {
        Self::start_for(Connections::Many, grace).await
    }

    async fn start_for(connections: Connections, grace: Duration) -> Self {
        let (identity, seed) = (OneTimeKey::generate(), HostSeed::new([2; 32]));
        let settings = Settings {
            identity: Arc::new(identity.clone()),
            host_key: HostKey::Pinned(seed.public_key()),
            ..Settings::default()
        };
        let grant = Grant {
            host_seed: Some(seed),
            connections,
            reconnect_grace: grace,
            ..Grant::new(identity.public_key().clone())
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let home = tempfile::tempdir().expect("a directory");
        let variables: [(OsString, OsString); 3] = [
            ("HOME".into(), home.path().into()),
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("SHELL".into(), "/bin/sh".into()),
        ];
        let container = Container {
            environment: variables.to_vec(),
            owns_machine: false,
            core_limit: (0, 0),
            engine: Engine::Russh,
            self_args: Vec::new(),
            spawner: fargate_init::spawner::Spawner::start().expect("a thread"),
            audit: Audit::default(),
        };
        let log = Lines::default();
        let out = Log::new(None, Box::new(log.clone()));
        let server = tokio::spawn(async move {
            serve(&grant, listener, container, out, std::future::pending()).await.expect("a served container")
        });
        Self { address, server, settings, log, home }
    }

    /// The way to it through this address.
    pub(super) fn way(&self, address: SocketAddr) -> Way {
        Way { address, settings: self.settings.clone() }
    }

    /// Where its sessions begin.
    pub(super) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Its log so far.
    pub(super) fn log(&self) -> String {
        self.log.text.lock().expect("not poisoned").clone()
    }

    /// Waits until its log says this.
    pub(super) async fn logged(&self, words: &str) {
        loop {
            let written = self.log.written.notified();
            tokio::pin!(written);
            written.as_mut().enable();
            if self.log().contains(words) {
                return;
            }
            written.await;
        }
    }
}

impl WayBack for Way {
    async fn connect(&self) -> Result<Connection, SshError> {
        let stream = TcpStream::connect(self.address).await;
        let stream = stream.map_err(|error| SshError::Handshake { cause: error.to_string() })?;
        stream.set_nodelay(true).expect("a socket");
        connect(stream, &self.settings).await
    }

    async fn task_ended(&self) {
        std::future::pending().await
    }
}
