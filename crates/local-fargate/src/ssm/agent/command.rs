//! Commands without a terminal: their output, and where the document asks for it, their exit code.

use bytes::{Bytes, BytesMut};
use nix::sys::signal::Signal;
use tokio::io::AsyncReadExt as _;

use super::Order;
use super::shell;
use super::talk::{CHUNK, Input, Pace, Talk};
use super::words;
use crate::launcher::{Hold, Program, Second};
use crate::ssm::payload::{EXIT_CODE, OUTPUT, STDERR};

/// Serves until the command has ended.
pub(super) async fn serve(order: &Order, command: &str, separate_output: bool, talk: &Talk) -> Result<(), String> {
    let argv = shell::argv(Some(command), order.is_container)
        .map_err(|why| words::titled(&format!("Unable to start command: {why}\n\n")))?;
    let program = Program { argv, ..Program::default() };
    let started = order.place.start(&program).await;
    let Second { output, errors, mut hold, .. } = started.map_err(|error| {
        let why = words::of_start(program.name(), &error);
        words::titled(&format!("Error occurred starting the command: {why}\n"))
    })?;
    let mut inputs = talk.activate();
    let telling = async {
        if separate_output {
            tokio::join!(tell(output, OUTPUT, talk), tell(errors, STDERR, talk));
        } else {
            let (mut output, errors) = tokio::join!(all(output), all(errors));
            output.extend_from_slice(&errors);
            talk.send(OUTPUT, output.freeze()).await;
        }
    };
    let taking = async {
        while let Some(input) = inputs.recv().await {
            signal(&input, &hold);
        }
    };
    tokio::select! {
        () = telling => {}
        () = taking => {}
    }
    let exit_code = hold.wait().await;
    if separate_output {
        talk.send(EXIT_CODE, Bytes::from(format!("EXIT_CODE: {exit_code}"))).await;
    }
    Ok(())
}

type Output = Option<crate::launcher::Output>;

async fn tell(output: impl Into<Output>, payload_type: u32, talk: &Talk) {
    let Some(mut output) = output.into() else { return };
    let (mut buffer, mut pace) = (vec![0; CHUNK], Pace::default());
    while let Ok(read @ 1..) = output.read(&mut buffer).await {
        let data = Bytes::copy_from_slice(buffer.get(..read).unwrap_or_default());
        talk.send_paced(payload_type, data, &mut pace).await;
    }
}

async fn all(output: impl Into<Output>) -> BytesMut {
    let mut all = BytesMut::new();
    if let Some(mut output) = output.into() {
        while let Ok(1..) = output.read_buf(&mut all).await {}
    }
    all
}

/// Without a terminal the agent makes signals of the bytes that a terminal would make them of.
fn signal(input: &Input, hold: &Hold) {
    let Input::Data(data) = input else { return };
    let signal = match data.as_ref() {
        [0x03] => Signal::SIGINT,
        [0x1a] => Signal::SIGTSTP,
        [0x1c] => Signal::SIGQUIT,
        _ => return,
    };
    hold.signal(signal);
}
