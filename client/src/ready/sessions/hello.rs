//! The first words over a session: what answers, and whether it takes the session for one of several of a connection.

use bytes::{Bytes, BytesMut};
use fargate_contract::links::{JOINED, LINE_MAX};
use fargate_contract::{Greeting, JoinRequest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::ready::dial::{DialFailure, IDENTIFICATION};
use crate::ready::stream::{HungUp, Link};
use crate::ssm::port::PortStream;

/// Longest identification string, in bytes, line end included (RFC 4253, section 4.2).
const IDENTIFICATION_MAX: usize = 255;

/// What a session is for.
#[derive(Clone, Debug)]
pub(in crate::ready) enum Hello {
    /// A connection of its own.
    First,
    /// A connection that stands.
    Another(JoinRequest),
}

/// What was heard, and is not heard again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ready) enum Said {
    /// Nothing: what follows is what the other end said first, or frames.
    Nothing,
    /// It takes several sessions for one connection, and this is how it identifies itself, line end included.
    Greeting {
        /// So many at most.
        links: u8,
        /// For whoever speaks SSH.
        identification: Bytes,
    },
}

impl Hello {
    /// Listens until it is known what answers, and asks it what there is to ask. What a greeting asks for is left to others.
    ///
    /// # Errors
    /// [`DialFailure`].
    pub(in crate::ready) async fn exchange(
        &self,
        mut stream: PortStream,
        hung_up: HungUp,
    ) -> Result<(Link, Said), DialFailure> {
        let mut heard = BytesMut::new();
        while heard.len() < IDENTIFICATION.len() {
            hear(&mut stream, &mut heard).await?;
        }
        let mut said = Said::Nothing;
        if Greeting::may_begin(&heard) {
            let line = line(&mut stream, &mut heard, LINE_MAX).await?;
            let Greeting { links } = text(&line).and_then(Greeting::decode).ok_or(DialFailure::NotSsh)?;
            let identification = line_of_ssh(&mut stream, &mut heard).await?;
            said = Said::Greeting { links, identification };
        } else if !heard.starts_with(IDENTIFICATION) {
            return Err(DialFailure::NotSsh);
        }
        if let Self::Another(request) = self {
            // Who greeted the first session and does not greet this one is somebody else.
            if said == Said::Nothing {
                return Err(DialFailure::NotSsh);
            }
            said = Said::Nothing;
            stream.write_all(request.encode().as_bytes()).await.map_err(|_| DialFailure::Silent)?;
            if line(&mut stream, &mut heard, LINE_MAX).await? != JOINED.as_bytes() {
                return Err(DialFailure::NotSsh);
            }
        }
        Ok((Link::new(heard.freeze(), stream, hung_up), said))
    }
}

async fn line_of_ssh(stream: &mut PortStream, heard: &mut BytesMut) -> Result<Bytes, DialFailure> {
    let line = line(stream, heard, IDENTIFICATION_MAX).await?;
    if line.starts_with(IDENTIFICATION) { Ok(line) } else { Err(DialFailure::NotSsh) }
}

/// The next line, with its end.
async fn line(stream: &mut PortStream, heard: &mut BytesMut, longest: usize) -> Result<Bytes, DialFailure> {
    loop {
        if let Some(end) = heard.iter().take(longest).position(|byte| *byte == b'\n') {
            return Ok(heard.split_to(end + 1).freeze());
        }
        if heard.len() >= longest {
            return Err(DialFailure::NotSsh);
        }
        hear(stream, heard).await?;
    }
}

fn text(line: &[u8]) -> Option<&str> {
    std::str::from_utf8(line).ok()?.strip_suffix("\r\n")
}

async fn hear(stream: &mut PortStream, heard: &mut BytesMut) -> Result<(), DialFailure> {
    match stream.read_buf(heard).await {
        Ok(1..) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Err(DialFailure::Refused),
        Ok(_) | Err(_) => Err(DialFailure::Silent),
    }
}
