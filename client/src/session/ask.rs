//! What a session asks the server for before it begins: a terminal, variables, a program.

use std::collections::VecDeque;

use fargate_contract::{ResumeId, resume};
use russh::ChannelWriteHalf;
use russh::client::Msg;

use super::SessionRequest;
use super::modes;
use super::terminal::{Terminal, size};

/// `TERM` for the remote when we have none.
const NO_TERM: &str = "dumb";

/// What still needs an answer; answers come in the order of asking (RFC 4254, section 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To be able to ask for the session again.
    Resume,
    /// The terminal.
    Pty,
    /// The shell or command.
    Start,
}

/// Asks for everything at once, so that a session costs one round trip. `pty` holds the terminal to be like, if any; `id` is what
/// the session shall be asked for by when its connection is lost.
///
/// # Errors
/// When the connection has ended.
pub(super) async fn ask(
    requests: &ChannelWriteHalf<Msg>,
    pty: Option<Option<&Terminal>>,
    request: &SessionRequest,
    line: Option<String>,
    id: Option<&ResumeId>,
) -> Result<VecDeque<Asked>, russh::Error> {
    let mut asked = VecDeque::new();
    if let Some(id) = id {
        requests.set_env(true, resume::ID_VARIABLE, id.encode()).await?;
        asked.push_back(Asked::Resume);
    }
    if let Some(terminal) = pty {
        let term = std::env::var("TERM").unwrap_or_else(|_| NO_TERM.to_owned());
        let size = size(terminal);
        let (columns, rows) = (u32::from(size.ws_col), u32::from(size.ws_row));
        let (width, height) = (u32::from(size.ws_xpixel), u32::from(size.ws_ypixel));
        let modes = modes::encode(terminal.map(Terminal::settings));
        requests.request_pty(true, &term, columns, rows, width, height, &modes).await?;
        asked.push_back(Asked::Pty);
        for (name, value) in locale() {
            requests.set_env(false, name, value).await?;
        }
    }
    if request.agent {
        // As ssh asks it: a server that forwards no agent is none that refuses the session.
        requests.agent_forward(false).await?;
    }
    // After our locale, so that the user's own choice wins.
    for (name, value) in &request.set_env {
        requests.set_env(false, name, value).await?;
    }
    match line {
        None => requests.request_shell(true).await?,
        Some(line) => requests.exec(true, line).await?,
    }
    asked.push_back(Asked::Start);
    Ok(asked)
}

/// Our locale: the remote's programs write to our terminal.
fn locale() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name == "LANG" || name.starts_with("LC_"))
        .collect()
}
