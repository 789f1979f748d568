//! Forwards through a target that runs already: its agent connects, over sessions of AWS Systems Manager. No task is run, and nobody
//! logs in.
//!
//! Each forward has a session of its own, which carries all its connections, and the same listeners as the others have.

mod document;
pub mod error;
mod held;
mod relay;
mod show;
mod targets;
mod tunnel;

use std::sync::Arc;

use aws_config::SdkConfig;
use futures_util::StreamExt as _;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::announce::{self, Format, Kind, Listening};
use super::listener::Listener;
use super::{ForwardError, bind, next_connection, room};
use crate::aws::Aws;
use crate::error::{Advice, EXIT_FAILURE};
use crate::login::child::{self, ChildError};
use crate::options::{TunnelOptions, TunnelPurpose};
use crate::session::ExitStatus;
use crate::signals::Stop;
use crate::ssm::Services;
use crate::ui::Ui;
use error::ViaError;
use held::{Cloud, Held};
use targets::Targets;
use tunnel::{Common, GivenUp, Tunnel};

/// Sessions that are started at once: everybody in the account shares its calls per second.
const AT_ONCE: usize = 4;

/// Everything that ends such a run early.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// There is no listener, or nobody to tell of it.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// The program of this machine does not run.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// There is no session.
    #[error(transparent)]
    Via(#[from] ViaError),
    /// There is no session for one of several forwards.
    #[error("{label}: {cause}")]
    One {
        /// Which.
        label: String,
        /// Why not.
        cause: ViaError,
    },
    /// `--keep-going` has gone on without every one.
    #[error("no forward stands")]
    Nothing,
    /// A signal ended it.
    #[error("stopped by {0}")]
    Interrupted(&'static str),
}

impl Advice for TunnelError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Forward(error) => error.hints(),
            Self::Child(error) => error.hints(),
            Self::Via(error) | Self::One { cause: error, .. } => error.hints(),
            Self::Nothing | Self::Interrupted(_) => Vec::new(),
        }
    }
}

/// Holds the forwards until a signal, or until the program has ended that they are for. Returns the exit status of the program.
pub async fn run(options: TunnelOptions, config: &SdkConfig, ui: &Ui, stop: &Stop) -> u8 {
    let tasks = TaskTracker::new();
    let ended = stop.first.child_token();
    let code = match hold(&options, config, ui, stop, &tasks, &ended).await {
        Ok(status) => status.exit_code(),
        Err(_) if stop.first.is_cancelled() => {
            ui.clear();
            ui.note(&format!("{}: cleaning up; a second one leaves at once", stop.signal_name()));
            stop.exit_code().unwrap_or(EXIT_FAILURE)
        }
        Err(error) => {
            ui.clear();
            ui.error(&error);
            if let TunnelError::Child(error) = &error { error.exit_code() } else { EXIT_FAILURE }
        }
    };
    ended.cancel();
    tasks.close();
    tokio::select! {
        () = tasks.wait() => {}
        () = stop.second.cancelled() => {
            ui.warn("leaving before the sessions are known to be ended; they end when they have been idle for 20 min, unless the account's preferences say otherwise");
        }
    }
    code
}

async fn hold(
    options: &TunnelOptions,
    config: &SdkConfig,
    ui: &Ui,
    stop: &Stop,
    tasks: &TaskTracker,
    ended: &CancellationToken,
) -> Result<ExitStatus, TunnelError> {
    if let TunnelPurpose::Child(words) = &options.purpose {
        child::check(words)?;
    }
    let aws = Aws::new(config);
    let targets = Targets::new(options.through.clone(), aws.clone(), ui.clone());
    let cloud = Cloud { aws, services: Services::of_aws(config) };
    // The first that is given up ends the run.
    let (given_up, mut giving_up) = mpsc::channel(1);
    let keep_going = options.forwards.keep_going;
    let common = Arc::new(Common { cloud, targets, ui: ui.clone(), ended: ended.clone(), keep_going, given_up });
    if options.dry_run {
        return Ok(ExitStatus::Code(show::plan(options, &common).await?.into()));
    }
    let bound = listen(options, ui).await?;
    let listening = start(options, bound, &common, tasks).await?;
    ui.clear();
    let format = match &options.purpose {
        TunnelPurpose::Hold(format) => *format,
        TunnelPurpose::Child(_) => Format::Text,
    };
    announce::tell(ui, format, &listening).map_err(ForwardError::stdout)?;
    let failed = async {
        match giving_up.recv().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    };
    match &options.purpose {
        TunnelPurpose::Hold(_) => tokio::select! {
            () = stop.first.cancelled() => Err(TunnelError::Interrupted(stop.signal_name())),
            error = failed => Err(error),
        },
        TunnelPurpose::Child(words) => {
            let local = child::Told { local: &listening, all: &listening };
            let ended = child::run(words, local, stop, ui, failed).await;
            ended.unwrap_or(Err(TunnelError::Interrupted(stop.signal_name())))
        }
    }
}

/// A listener and the forward that it is for.
struct Bound {
    listener: Listener,
    listening: Listening,
    tunnel: Arc<Tunnel>,
}

/// Listens, before anything is asked of AWS.
async fn listen(options: &TunnelOptions, ui: &Ui) -> Result<Vec<(Listener, Listening)>, ForwardError> {
    let mut all = Vec::new();
    for forward in &options.forwards.local {
        if let Some(listener) = bind(&forward.listen, &options.forwards, ui).await? {
            let listening = Listening { kind: Kind::Local(forward.target.clone()), at: listener.at.clone() };
            all.push((listener, listening));
        }
    }
    Ok(all)
}

/// Starts a session for each, and has it kept and used from then on. Answers those that stand.
async fn start(
    options: &TunnelOptions,
    bound: Vec<(Listener, Listening)>,
    common: &Arc<Common>,
    tasks: &TaskTracker,
) -> Result<Vec<Listening>, TunnelError> {
    let several = bound.len() > 1;
    let bound = bound.into_iter().filter_map(|(listener, listening)| {
        let Kind::Local(to) = listening.kind.clone() else { return None };
        let label = format!("forward from {} to {to}", listening.at);
        let tunnel = Arc::new(Tunnel::new(Arc::clone(common), to, label));
        Some(Bound { listener, listening, tunnel })
    });
    let ui = &common.ui;
    let started = bound.map(|bound| async move {
        ui.phase(&format!("StartSession, {}", bound.tunnel.label()));
        (bound.tunnel.start().await, bound)
    });
    let mut started = futures_util::stream::iter(started).buffered(AT_ONCE);
    let places = Arc::new(Semaphore::new(room()));
    let (mut standing, mut failed, mut skipped) = (Vec::new(), None, TunnelError::Nothing);
    let mut told = Told::default();
    while let Some((held, bound)) = started.next().await {
        match held {
            Ok(held) => {
                told.tell(&held, &common.ui);
                standing.push(bound.listening.clone());
                attend(bound, held, common, &places, tasks);
            }
            Err(cause) if options.forwards.keep_going && cause != ViaError::Stopped => {
                common.ui.warn(&format!("{}: {cause}", bound.tunnel.label()));
                skipped = TunnelError::Via(cause);
            }
            Err(cause) => {
                let label = bound.tunnel.label().to_owned();
                let error = if several { TunnelError::One { label, cause } } else { TunnelError::Via(cause) };
                failed.get_or_insert(error);
            }
        }
    }
    match failed {
        Some(error) => Err(error),
        None if standing.is_empty() => Err(skipped),
        None => Ok(standing),
    }
}

/// What is told once in a run, though each session would say it.
#[derive(Default)]
struct Told {
    greeting: Option<String>,
    single: bool,
}

impl Told {
    fn tell(&mut self, held: &Held, ui: &Ui) {
        if let Some(greeting) = held.greeting()
            && self.greeting.as_deref() != Some(greeting)
        {
            ui.note(greeting);
            self.greeting = Some(greeting.to_owned());
        }
        if !held.is_multiplexed() && !std::mem::replace(&mut self.single, true) {
            ui.note("the agent is an old one: each forward carries one connection at a time, and the next waits");
        }
    }
}

/// Keeps the session and takes connections for it until the run ends.
fn attend(bound: Bound, held: Held, common: &Arc<Common>, places: &Arc<Semaphore>, tasks: &TaskTracker) {
    let Bound { listener, tunnel, .. } = bound;
    let (keeper, all) = (Arc::clone(&tunnel), Arc::clone(common));
    tasks.spawn(async move {
        match keeper.keep(held).await {
            Ok(()) => {}
            Err(GivenUp::Left(left)) => all.ui.warn(&left.told()),
            Err(GivenUp::Forbidden { target, cause }) => {
                all.give_up(keeper.label(), ViaError::Session { target, cause });
            }
        }
    });
    let (common, places, connections) = (Arc::clone(common), Arc::clone(places), tasks.clone());
    let ended = common.ended.clone();
    let serving = async move {
        loop {
            let (stream, _, place) = next_connection(&listener, &places, &common.ui).await;
            let tunnel = Arc::clone(&tunnel);
            connections.spawn(async move {
                let _place = place;
                tunnel.carry(stream).await;
            });
        }
    };
    tasks.spawn(async move {
        ended.run_until_cancelled(serving).await;
    });
}
