//! From options to a plan: what is looked up, drawn and registered on the way, and what a dry run shows of it.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use fargate_contract::HostSeed;
use rand::RngExt as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{LoginError, definition, routing};
use crate::aws::error::Fault;
use crate::aws::get_caller_identity::get_caller_identity;
use crate::aws::{Aws, ServiceError, last_part};
use crate::checkpoint::checkpoint;
use crate::derive::{Derived, reuse};
use crate::error::EXIT_FAILURE;
use crate::my_ip::{self, MyIpError};
use crate::options::Options;
use crate::origin::{self, Origin};
use crate::plan::{self, Given, Plan, PlanError};
use crate::ssh::identity::OneTimeKey;
use crate::timings::{Owner, Timings};
use crate::ui::Ui;

/// The caller's name is worth this much waiting, and no more: it labels the task, and the lines of its log.
const CALLER_TIMEOUT: Duration = Duration::from_secs(3);

/// A plan, and what it was made of.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) plan: Plan,
    origin: Origin,
    caller: Option<String>,
}

/// Makes the plan. A derived task definition is registered on the way unless it is there already, or this is a dry run.
pub(super) async fn plan(
    mut options: Options,
    aws: &Aws,
    ui: &Ui,
    timings: &Timings,
    stop: &CancellationToken,
) -> Result<Planned, LoginError> {
    if options.from.is_some() || options.like_service.is_some() {
        timings.begin("task definition", Owner::Aws);
    }
    let origin = origin::settle(&mut options, aws, ui).await?;
    plan::check(&options)?;
    let caller = if options.no_tags && !options.dry_run { None } else { caller(aws).await? };
    let proposed = routing::propose(&options, aws, ui).await.map_err(PlanError::from)?;
    let origin = definition::read(origin, &options, proposed.is_ssm(), aws, ui).await?;
    let my_ip = if options.allow_my_ip { Some(my_ip(&options, ui, timings).await?) } else { None };
    let (dry_run, tagged) = (options.dry_run, !options.no_tags);
    let container = options.container.as_deref().unwrap_or(plan::DEFAULT_CONTAINER);
    let stop_notice = definition::stop_notice(&options, &origin, container);
    let log = definition::log(&options, &origin, container)?;
    let via = routing::settle(proposed, &options, &origin, container).map_err(PlanError::from)?;
    tracing::info!(via = via.name(), reason = via.reason, "the route");
    let given = Given {
        run: uuid::Uuid::new_v4().to_string(),
        host_seed: HostSeed::new(rand::rng().random()),
        identity: OneTimeKey::generate(),
        // A dry run asks for its caller without tags, too, and shows what a run would send.
        caller: caller.clone().filter(|_| tagged),
        my_ip,
        now: jiff::Timestamp::now(),
        stop_notice,
        via,
        log,
    };
    let mut plan = Plan::new(options, given)?;
    if let Origin::Derived(derived) = &origin {
        ui.phase(&format!("DescribeTaskDefinition {}", derived.family()));
        let found = reuse::find(aws, derived).await?;
        if let Some(arn) = found {
            plan.request.task_definition = arn;
        } else if !dry_run {
            ui.phase(&format!("RegisterTaskDefinition {}", derived.family()));
            plan.request.task_definition = reuse::register(aws, derived, tagged, caller.as_deref()).await?;
            checkpoint("after-register", stop).await;
            ui.note(&told(derived, &plan.request.task_definition));
        }
    }
    Ok(Planned { plan, origin, caller })
}

/// What was registered, in one line that stays.
fn told(derived: &Derived, arn: &str) -> String {
    let name = last_part(arn);
    let left_out =
        if derived.left_out.is_empty() { String::new() } else { format!(", without {}", derived.left_out.join(", ")) };
    format!("registered {name}: {} with our init in container {}{left_out}", derived.original.name(), derived.container)
}

/// The address that is to be let in, as others see it.
async fn my_ip(options: &Options, ui: &Ui, timings: &Timings) -> Result<IpAddr, MyIpError> {
    let url = options.my_ip_url.as_deref().unwrap_or(my_ip::DEFAULT_URL);
    timings.begin("public address", Owner::Client);
    ui.phase("looking up our public address");
    my_ip::look_up(url).await
}

/// Who calls, if STS says so in time. Credentials that STS refuses would be refused by ECS as well: that is an error.
async fn caller(aws: &Aws) -> Result<Option<String>, ServiceError> {
    match tokio::time::timeout(CALLER_TIMEOUT, get_caller_identity(aws)).await {
        Ok(Ok(arn)) => Ok(arn),
        Ok(Err(error)) => match (&error.fault, error.code()) {
            (Fault::Refused { .. }, Some(code)) if !code.starts_with("AccessDenied") && !error.is_transient() => {
                Err(error)
            }
            (Fault::Unreachable(cause), _) if cause.contains("credential") || cause.contains("MFA") => Err(error),
            _ => Ok(None),
        },
        Err(_) => Ok(None),
    }
}

impl Planned {
    /// Prints the plan, and behind it what a derived task definition changes. Returns the exit status of the program.
    pub(super) fn show(&self, aws: &Aws, ui: &Ui) -> u8 {
        ui.clear();
        let mut json = self.plan.to_json(self.origin.definition(), self.caller.as_deref(), &aws.region);
        let mut diff = String::new();
        if let Origin::Derived(derived) = &self.origin {
            json["taskDefinition"] = Value::Null;
            json["derive"] = self.derivation(derived);
            if let Some(Value::Array(calls)) = json.get_mut("calls") {
                calls.retain(|call| call != "ecs:DescribeTaskDefinition");
                let found = ["ecs:DescribeTaskDefinition", "ecs:ListTaskDefinitions", "ecs:RegisterTaskDefinition"];
                calls.splice(0..0, found.map(Value::from));
            }
            diff = derived.diff();
        }
        match std::io::stdout().write_all(format!("{json:#}\n{diff}").as_bytes()) {
            Ok(()) => 0,
            Err(_) => EXIT_FAILURE,
        }
    }

    fn derivation(&self, derived: &Derived) -> Value {
        let task_definition = &self.plan.request.task_definition;
        let registered = (task_definition != derived.family()).then_some(task_definition);
        json!({
            "from": derived.original.arn(),
            "family": derived.family(),
            "container": derived.container,
            "contentHash": derived.content_hash,
            "registered": registered,
            "leftOut": derived.left_out,
        })
    }
}
