//! From the command line to an exit status: logging, runtime, configuration, and what was asked for.

use std::ffi::OsString;
use std::io::Write as _;

use aws_config::SdkConfig;

use crate::aws::Aws;
use crate::error::{EXIT_FAILURE, EXIT_USAGE};
use crate::options::{
    ExecOptions, FleetOptions, GcOptions, Invocation, ListingOptions, Options, ProxyOptions, TunnelOptions,
};
use crate::signals::Stop;
use crate::ssm::Services;
use crate::ui::Ui;
use crate::{aws, cli, exec, fleet, forward, gc, listing, local, login, openssh};

/// Worker threads: one moves bytes while the other encrypts; more would only wait.
const WORKER_THREADS: usize = 2;

/// Runs the program. Returns its exit status.
#[must_use]
pub fn run(arguments: Vec<OsString>) -> u8 {
    let lookup = |name: &str| std::env::var(name).ok();
    let directory = std::env::current_dir().unwrap_or_default();
    let invocation = match cli::parse(arguments, &lookup, &directory) {
        Ok(invocation) => invocation,
        Err(usage) => return tell(&usage),
    };
    forbid_core_dumps();
    ssh_flow::keep_freed_memory();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(dispatch(invocation));
            // A thread may be stuck reading a terminal or a file that never ends: nothing waits for it.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            // Nothing is left to tell when stderr is gone.
            let _ = writeln!(std::io::stderr(), "error: no runtime: {error}");
            EXIT_FAILURE
        }
    }
}

fn tell(usage: &cli::Usage) -> u8 {
    match usage {
        cli::Usage::Shown(text) => match anstream::stdout().write_all(text.as_bytes()) {
            Ok(()) => 0,
            Err(_) => EXIT_FAILURE,
        },
        cli::Usage::Wrong(text) => {
            // Nothing is left to tell when stderr is gone.
            let _ = anstream::stderr().write_all(text.as_bytes());
            EXIT_USAGE
        }
    }
}

async fn dispatch(invocation: Invocation) -> u8 {
    let (quiet, verbose) = match &invocation {
        Invocation::Login(options) => (options.quiet, options.verbose),
        Invocation::Gc(options) => (options.quiet, options.verbose),
        Invocation::Fleet(options) => (options.quiet, options.verbose),
        Invocation::Listing(options) => (options.quiet, options.verbose),
        Invocation::Exec(options) => (options.quiet, options.verbose),
        Invocation::Tunnel(options) => (options.quiet, options.verbose),
        // A keeper's stderr is for what somebody has to read.
        Invocation::Proxy(options) if options.keeper => (options.login.quiet, 0),
        Invocation::Proxy(options) => (options.login.quiet, options.login.verbose),
        Invocation::SshConfig(options) => (options.login.quiet, options.login.verbose),
        Invocation::Local(_) => (false, 0),
    };
    log_to_stderr(verbose);
    let ui = Ui::new(quiet);
    let stop = match Stop::install() {
        Ok(stop) => stop,
        Err(error) => {
            ui.warn(&format!("signals cannot be caught: {error}"));
            return EXIT_FAILURE;
        }
    };
    match invocation {
        Invocation::Local(options) => local::serve(options, &ui, &stop).await,
        Invocation::Login(options) if options.local.is_some() => Box::pin(login_locally(*options, &ui, &stop)).await,
        Invocation::Login(options) => Box::pin(log_in(*options, &ui, &stop)).await,
        Invocation::Gc(options) => Box::pin(collect(options, &ui, &stop)).await,
        Invocation::Fleet(options) => Box::pin(muster(options, &ui, &stop)).await,
        Invocation::Listing(options) => Box::pin(list(options, &ui, &stop)).await,
        Invocation::Exec(options) => Box::pin(execute(options, &ui, &stop)).await,
        Invocation::Tunnel(options) => Box::pin(tunnel(*options, &ui, &stop)).await,
        Invocation::SshConfig(options) => openssh::config::run(&options, &ui),
        Invocation::Proxy(options) if options.keeper => Box::pin(keep(*options, &stop)).await,
        Invocation::Proxy(options) => openssh::proxy::run(*options, &ui, &stop).await,
    }
}

async fn keep(options: ProxyOptions, stop: &Stop) -> u8 {
    let log_in = async |login: Options, ui: &Ui| match login.local {
        Some(_) => Box::pin(login_locally(login, ui, stop)).await,
        None => Box::pin(log_in(login, ui, stop)).await,
    };
    openssh::keeper::run(options, stop, log_in).await
}

async fn log_in(options: Options, ui: &Ui, stop: &Stop) -> u8 {
    match reach(&options.source, ui, stop).await {
        Ok(aws) => login::run(options, &aws, ui, stop).await,
        Err(code) => code,
    }
}

async fn collect(options: GcOptions, ui: &Ui, stop: &Stop) -> u8 {
    match reach(&options.source, ui, stop).await {
        Ok(aws) => gc::run(options, &aws, ui, stop).await,
        Err(code) => code,
    }
}

async fn muster(options: FleetOptions, ui: &Ui, stop: &Stop) -> u8 {
    match reach(&options.source, ui, stop).await {
        Ok(aws) => fleet::run(options, &aws, ui, stop).await,
        Err(code) => code,
    }
}

async fn list(options: ListingOptions, ui: &Ui, stop: &Stop) -> u8 {
    match reach(&options.source, ui, stop).await {
        Ok(aws) => listing::run(options, &aws, ui, stop).await,
        Err(code) => code,
    }
}

async fn execute(options: ExecOptions, ui: &Ui, stop: &Stop) -> u8 {
    match configured(&options.source, ui, stop).await {
        Ok(config) => exec::run(options, &Aws::new(&config), Services::of_aws(&config), ui, stop).await,
        Err(code) => code,
    }
}

async fn tunnel(options: TunnelOptions, ui: &Ui, stop: &Stop) -> u8 {
    match configured(&options.source, ui, stop).await {
        Ok(config) => forward::via::run(options, &config, ui, stop).await,
        Err(code) => code,
    }
}

/// AWS as it is configured, or the exit status when it is not.
async fn reach(source: &aws::config::Source, ui: &Ui, stop: &Stop) -> Result<Aws, u8> {
    configured(source, ui, stop).await.map(|config| Aws::new(&config))
}

/// How AWS is configured, or the exit status when it is not.
async fn configured(source: &aws::config::Source, ui: &Ui, stop: &Stop) -> Result<SdkConfig, u8> {
    let loaded = tokio::select! {
        loaded = aws::config::load(source) => loaded,
        () = stop.first.cancelled() => return Err(stop.exit_code().unwrap_or(EXIT_FAILURE)),
    };
    loaded.map_err(|error| {
        ui.error(&error);
        EXIT_FAILURE
    })
}

/// The same login, against a stand-in that lives only for it.
async fn login_locally(mut options: Options, ui: &Ui, stop: &Stop) -> u8 {
    let standing_in = match local::start(&mut options).await {
        Ok(standing_in) => standing_in,
        Err(error) => {
            ui.error(&error);
            return EXIT_FAILURE;
        }
    };
    let code = match aws::config::local(&standing_in.endpoint_url(), standing_in.region()) {
        Ok(config) => login::run(options, &Aws::new(&config), ui, stop).await,
        Err(error) => {
            ui.error(&error);
            EXIT_FAILURE
        }
    };
    standing_in.shutdown().await;
    code
}

/// `-v` for our own steps, `-vv` for the details, `-vvv` also for the SSH protocol. AWS requests are never logged: they carry
/// the override.
fn log_to_stderr(verbose: u8) {
    let filter = match verbose {
        0 => "off,fargate_login=error",
        1 => "off,fargate_login=info",
        2 => "off,fargate_login=debug,ssh_flow=debug",
        _ => "off,fargate_login=trace,ssh_flow=trace,russh=debug",
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .without_time()
        .finish();
    // Set only here; a second subscriber could only come from a caller that has its own.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// The one-time key lives in our memory only: a core dump would make it a file.
fn forbid_core_dumps() {
    use nix::sys::resource::{Resource, setrlimit};
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        tracing::warn!(%error, "core dumps could not be turned off");
    }
    // A machine's own handler of cores may take them whatever the limit; and no other process of this user may look into us.
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        tracing::warn!(%error, "core dumps could not be turned off");
    }
}
