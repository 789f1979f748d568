//! A service that tells its callers their address, or does not.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// Answers every request alike, until it is dropped.
#[derive(Debug)]
pub struct AddressService {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl AddressService {
    /// Answers 200 and this body.
    #[must_use]
    pub fn telling(body: &str) -> Self {
        Self::answering(&format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ))
    }

    /// Answers this, byte for byte; nothing keeps the connection open without a word.
    ///
    /// # Panics
    /// Without a loopback interface.
    #[must_use]
    pub fn answering(answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (asked, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, end, answer) = (Arc::clone(&asked), Arc::clone(&ended), answer.as_bytes().to_vec());
        let server = std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                if end.load(Ordering::Acquire) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                count.fetch_add(1, Ordering::AcqRel);
                // What it is asked makes no difference; a caller may be gone before it hears the answer.
                let _ = stream.read(&mut [0; 4096]);
                if answer.is_empty() {
                    silent.push(stream);
                } else {
                    let _ = stream.write_all(&answer);
                }
            }
        });
        Self { address, asked, ended, server: Some(server) }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often it was asked.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Acquire)
    }
}

impl Drop for AddressService {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // Wakes it from its waiting for a caller.
        let _ = TcpStream::connect(self.address);
        if let Some(server) = self.server.take() {
            // A server that panicked has nothing to say any more.
            let _ = server.join();
        }
    }
}
