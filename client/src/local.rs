//! `--local`: the whole way without AWS. The stand-in runs in this process on a loopback port; its tasks are this executable
//! again, as the init.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use local_fargate::{Config, LocalFargate, ProcessImage, StartError};

use crate::announcement;
use crate::error::Advice;
use crate::options::{HostKeyMode, Latency, Launcher, LocalOptions, Options};
use crate::signals::Stop;
use crate::ui::Ui;

/// First word of the command line of an executable of ours that is to be the init.
pub const INIT_WORD: &str = "__fargate-init";
/// The task definition that is registered in every stand-in of ours.
const TEST_CLI: &str = include_str!("../../task-definitions/test-cli.json");
/// Network of the stand-in, for those who name none.
const SUBNET: &str = "subnet-1";
const SECURITY_GROUP: &str = "sg-1";
/// Where the stand-in keeps the log, and the role without which ECS takes no `awslogs`.
const LOG_GROUP: &str = "/ecs/test-cli";
const EXECUTION_ROLE: &str = "arn:aws:iam::000000000000:role/test-cli-execution";

/// Why there is no stand-in.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// This executable cannot be found again.
    #[error("this executable cannot be found: {0}")]
    Executable(std::io::Error),
    /// The shipped task definition has no image.
    #[error("the shipped task definition is broken: {0}")]
    TaskDefinition(String),
    /// A file that was named cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file of secrets that is none. What is wrong with it is told by its place: it holds secrets.
    #[error("{} is no JSON object of texts (line {line}, column {column})", file.display())]
    Secrets {
        /// Which.
        file: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// It does not start.
    #[error("the local stand-in does not start: {0}")]
    Start(#[from] local_fargate::StartError),
}

impl Advice for LocalError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Secrets { .. } => {
                vec![
                    r#"it looks like {"arn:aws:secretsmanager:...:secret:db-AbCdEf": "value", "/parameter": "value"}"#
                        .to_owned(),
                ]
            }
            Self::Start(StartError::Docker(_)) => {
                vec!["start the Docker daemon of this machine, or use `--local` without it".to_owned()]
            }
            Self::Start(StartError::TaskDefinition(_)) => {
                vec!["the file is a request as `aws ecs register-task-definition --cli-input-json` takes it".to_owned()]
            }
            Self::Start(_) => vec!["`--listen` takes a free loopback address, such as 127.0.0.1:4566".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// Starts the stand-in for one login.
///
/// # Errors
/// [`LocalError`].
pub async fn start(options: &mut Options) -> Result<LocalFargate, LocalError> {
    if options.subnets.is_empty() {
        options.subnets = vec![SUBNET.to_owned()];
    }
    if options.security_groups.is_empty() {
        options.security_groups = vec![SECURITY_GROUP.to_owned()];
    }
    if options.allow_my_ip && options.my_ip_url.is_none() {
        // Its tasks are on this machine: nobody on the internet is asked how they see us.
        options.allow_my_ip = false;
        options.allow_cidrs.insert(0, IpNet::from(IpAddr::from(Ipv4Addr::LOCALHOST)));
    }
    let mut config = config()?;
    config.launcher = launcher(options.local.unwrap_or_default());
    if options.host_key == Some(HostKeyMode::Logs) {
        config.task_definitions = vec![logged(TEST_CLI, &config.region)?];
    }
    Ok(LocalFargate::start(config).await?)
}

/// `fargate-login local`: serves the stand-in until a signal comes. Returns the exit status of the program.
pub async fn serve(options: LocalOptions, ui: &Ui, stop: &Stop) -> u8 {
    let started = async {
        let config = configured(&options)?;
        ui.note(&format!("seed {}", config.seed));
        Ok::<_, LocalError>(LocalFargate::start(config).await?)
    };
    let standing_in = match started.await {
        Ok(standing_in) => standing_in,
        Err(error) => {
            ui.error(&error);
            return crate::error::EXIT_FAILURE;
        }
    };
    ui.data(&format!("listening on {}", standing_in.endpoint_url()));
    ui.note("use it with: AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local and this endpoint; Ctrl-C ends it");
    stop.first.cancelled().await;
    standing_in.shutdown().await;
    0
}

fn configured(options: &LocalOptions) -> Result<Config, LocalError> {
    let mut config = config()?;
    config.listen = options.listen;
    config.launcher = launcher(options.launcher);
    config.latency = match options.latency {
        Latency::Instant => local_fargate::Latency::Instant,
        Latency::Fargate => local_fargate::Latency::Fargate,
    };
    config.seed = options.seed.unwrap_or(config.seed);
    for file in &options.task_definition_files {
        config.task_definitions.push(read(file)?);
    }
    for file in &options.service_files {
        config.services.push(read(file)?);
    }
    if let Some(file) = &options.secrets_file {
        let values: BTreeMap<String, String> = serde_json::from_str(&read(file)?)
            .map_err(|error| LocalError::Secrets { file: file.clone(), line: error.line(), column: error.column() })?;
        config.secrets = values.into_iter().collect();
    }
    Ok(config)
}

const fn launcher(launcher: Launcher) -> local_fargate::Launcher {
    match launcher {
        Launcher::Process => local_fargate::Launcher::Process,
        Launcher::Docker => local_fargate::Launcher::Docker,
    }
}

fn read(file: &Path) -> Result<String, LocalError> {
    std::fs::read_to_string(file).map_err(|source| LocalError::File { file: file.to_owned(), source })
}

fn config() -> Result<Config, LocalError> {
    let executable = std::env::current_exe().map_err(LocalError::Executable)?;
    let mut config = Config::default();
    config.images = vec![image(executable)?];
    config.task_definitions = vec![TEST_CLI.to_owned()];
    Ok(config)
}

/// The shipped task definition with a log that the stand-in keeps. Nobody's account is asked for the group or the role.
fn logged(definition: &str, region: &str) -> Result<String, LocalError> {
    let mut definition: serde_json::Value = serde_json::from_str(definition).map_err(|error| broken(&error))?;
    definition["executionRoleArn"] = EXECUTION_ROLE.into();
    definition["containerDefinitions"][0]["logConfiguration"] = announcement::awslogs(LOG_GROUP, region);
    Ok(definition.to_string())
}

fn broken(error: &dyn std::fmt::Display) -> LocalError {
    LocalError::TaskDefinition(error.to_string())
}

/// The image that the shipped task definition names, as a process.
fn image(executable: PathBuf) -> Result<ProcessImage, LocalError> {
    let definition: serde_json::Value = serde_json::from_str(TEST_CLI).map_err(|error| broken(&error))?;
    let name = definition["containerDefinitions"][0]["image"].as_str().ok_or_else(|| broken(&"no image"))?;
    let entry_point = vec![executable.into_os_string(), INIT_WORD.into()];
    Ok(ProcessImage { name: name.to_owned(), entry_point, env: Vec::new() })
}
