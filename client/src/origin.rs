//! Where a run's task definition comes from: it is named outright, or found through a service and derived from what is there.

use crate::aws::describe_task_definition::{TaskDefinition, describe_task_definition};
use crate::aws::{Aws, last_part};
use crate::derive::{self, DeriveError, Derived, Wishes};
use crate::error::Advice;
use crate::like_service::{LikeServiceError, like_service};
use crate::options::{Derive, Options};
use crate::plan::{self, PlanError};
use crate::ui::Ui;

/// What stands behind the task definition of a run.
#[derive(Debug)]
pub enum Origin {
    /// It was named, and runs as it is.
    Named,
    /// It was found or looked up, and runs as it is.
    Found(TaskDefinition),
    /// It is made from another, and may have to be registered.
    Derived(Box<Derived>),
}

impl Origin {
    /// The task definition as it is registered; of a derived one, the original. `None` where it was only named.
    #[must_use]
    pub fn definition(&self) -> Option<&TaskDefinition> {
        match self {
            Self::Named => None,
            Self::Found(definition) => Some(definition),
            Self::Derived(derived) => Some(&derived.original),
        }
    }
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Nothing can be taken from the service.
    #[error(transparent)]
    Like(#[from] LikeServiceError),
    /// Nothing can be derived.
    #[error(transparent)]
    Derive(#[from] DeriveError),
    /// The network is not said.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl OriginError {
    /// Whether it is wrong usage.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Like(_) => false,
            Self::Derive(error) => error.is_usage(),
            Self::Plan(_) => true,
        }
    }
}

impl Advice for OriginError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Like(error) => error.hints(),
            Self::Derive(error) => error.hints(),
            Self::Plan(error) => error.hints(),
        }
    }
}

/// Settles `--like-service` and `--from`: afterwards the options name a task definition, a container and a network, as if
/// the user had. Reads only; asks which container is meant when there are several and somebody is there to answer.
///
/// # Errors
/// [`OriginError`].
pub async fn settle(options: &mut Options, aws: &Aws, ui: &Ui) -> Result<Origin, OriginError> {
    let of_service = match options.like_service.take() {
        Some(name) => like_service(options, &name, aws, ui).await?,
        None => None,
    };
    let original = match (&options.task_definition, options.from.take().or(of_service)) {
        (None, Some(original)) => original,
        // `-n` beside `--like-service` takes the service's network only.
        _ => return Ok(Origin::Named),
    };
    plan::check_network(options)?;
    ui.phase(&format!("DescribeTaskDefinition {}", last_part(&original)));
    let original = describe_task_definition(aws, &original).await.map_err(DeriveError::from)?;
    let container = derive::choose(&original, options.container.as_deref(), ui).await?;
    options.container = Some(container.clone());
    let wishes = Wishes {
        init_image: options.init_image.clone().unwrap_or_else(derive::default_image),
        keep_entrypoint: options.keep_entrypoint,
        with_sidecars: options.with_sidecars,
        add_tmp: options.add_tmp,
    };
    let is_ready = match options.derive {
        Derive::Auto => derive::starts_the_init(&original, &container, &wishes.init_image),
        Derive::Always => false,
        Derive::Never => true,
    };
    if is_ready {
        options.task_definition = Some(original.arn().to_owned());
        return Ok(Origin::Found(original));
    }
    // On AWS a bare name would be looked for in a public registry, where anybody may have taken it.
    if options.init_image.is_none() && options.local.is_none() {
        return Err(DeriveError::NoInitImage.into());
    }
    let derived = Derived::new(&original, &container, &wishes)?;
    options.task_definition = Some(derived.family().to_owned());
    Ok(Origin::Derived(Box::new(derived)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::canned::{Asked, answering};

    /// An account with the service `web`, which runs `web:42`, whose container starts like this.
    fn account(entry_point: Value) -> (Aws, Asked) {
        answering(move |operation, _| match operation {
            "DescribeServices" => (
                200,
                json!({"services": [{
                    "serviceName": "web", "status": "ACTIVE", "taskDefinition": "a:task-definition/web:42",
                    "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
                }]}),
            ),
            "DescribeTaskDefinition" => (
                200,
                json!({"taskDefinition": {
                    "taskDefinitionArn": "a:task-definition/web:42", "family": "web", "revision": 42, "networkMode": "awsvpc",
                    "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
                    "containerDefinitions": [{"name": "app", "image": "web:7", "entryPoint": entry_point}],
                }}),
            ),
            other => panic!("{other}"),
        })
    }

    fn like_web() -> Options {
        let init_image = Some("registry.example/init:1".to_owned());
        Options { like_service: Some("web".to_owned()), init_image, ..Options::default() }
    }

    #[tokio::test]
    async fn nobody_elses_image_is_taken_for_the_init() {
        let mut options = Options { init_image: None, ..like_web() };
        let error = settle(&mut options, &account(Value::Null).0, &Ui::new(true)).await.expect_err("no image");
        assert!(error.is_usage() && error.hints()[0].contains("--init-image"), "{error}");
        let local = Some(crate::options::Launcher::Docker);
        let mut options = Options { init_image: None, local, ..like_web() };
        assert!(matches!(settled(&mut options, &account(Value::Null).0).await, Origin::Derived(_)));
    }

    async fn settled(options: &mut Options, aws: &Aws) -> Origin {
        settle(options, aws, &Ui::new(true)).await.expect("an origin")
    }

    #[tokio::test]
    async fn a_service_alone_says_everything_and_nothing_is_written() {
        let (mut options, (aws, asked)) = (like_web(), account(Value::Null));
        assert!(matches!(settled(&mut options, &aws).await, Origin::Derived(_)));
        assert_eq!(options.task_definition.as_deref(), Some("web-fargate-login"));
        assert_eq!((options.container.as_deref(), options.subnets), (Some("app"), vec!["subnet-1".to_owned()]));
        assert_eq!(asked.operations(), ["DescribeServices", "DescribeTaskDefinition"]);
    }

    #[tokio::test]
    async fn an_init_aboard_needs_no_derivation_unless_it_is_asked_for() {
        let carried = json!(["/fargate-init"]);
        let (mut options, (aws, _)) = (like_web(), account(carried.clone()));
        assert!(matches!(settled(&mut options, &aws).await, Origin::Found(_)));
        assert_eq!(options.task_definition.as_deref(), Some("a:task-definition/web:42"));
        let mut always = Options { derive: Derive::Always, ..like_web() };
        assert!(matches!(settled(&mut always, &account(carried).0).await, Origin::Derived(_)));
        let mut never = Options { derive: Derive::Never, ..like_web() };
        assert!(matches!(settled(&mut never, &account(Value::Null).0).await, Origin::Found(_)));
    }

    #[tokio::test]
    async fn a_named_task_definition_runs_as_it_is() {
        let (aws, asked) = account(Value::Null);
        let named = || Options { task_definition: Some("test-cli".to_owned()), ..Options::default() };
        assert!(matches!(settled(&mut named(), &aws).await, Origin::Named));
        assert!(asked.all().is_empty(), "nothing is asked");
        let mut beside = Options { like_service: Some("web".to_owned()), ..named() };
        assert!(matches!(settled(&mut beside, &aws).await, Origin::Named));
        assert_eq!((beside.subnets, beside.container), (vec!["subnet-1".to_owned()], None));
        assert_eq!(beside.task_definition.as_deref(), Some("test-cli"));
    }

    #[tokio::test]
    async fn a_missing_network_is_told_before_anything_is_asked() {
        let (aws, asked) = account(Value::Null);
        let mut options = Options { from: Some("web".to_owned()), ..Options::default() };
        let error = settle(&mut options, &aws, &Ui::new(true)).await.expect_err("no network");
        assert!(error.is_usage() && error == OriginError::Plan(PlanError::NoSubnets), "{error}");
        assert!(asked.all().is_empty());
    }

    #[tokio::test]
    async fn a_container_that_is_not_there_is_wrong_usage() {
        let mut options = Options { container: Some("ap".to_owned()), ..like_web() };
        let error = settle(&mut options, &account(Value::Null).0, &Ui::new(true)).await.expect_err("no container");
        assert!(error.is_usage(), "{error}");
        assert_eq!(error.hints(), ["did you mean `--container app`?"]);
    }
}
