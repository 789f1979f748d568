//! What a task definition says, as types: RegisterTaskDefinition refuses a member of another type, and what starts containers need
//! not look twice. Names and units are those of the ECS API reference, ContainerDefinition.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::error::ApiError;

/// A revision of a task definition.
#[derive(Clone)]
pub(crate) struct Definition {
    pub(crate) family: String,
    pub(crate) revision: u32,
    pub(crate) active: bool,
    /// As it will be described.
    pub(crate) body: Value,
    pub(crate) tags: Vec<Value>,
    pub(crate) request: Request,
}

impl std::fmt::Debug for Definition {
    /// The name only: the rest may hold what nobody should read.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.family, self.revision)
    }
}

impl Definition {
    /// What RunTask and services refuse to run.
    pub(crate) fn check_runnable(&self) -> Result<(), ApiError> {
        if !self.active {
            return Err(ApiError::client("TaskDefinition is inactive"));
        }
        let compatibilities = self.body["compatibilities"].as_array().into_iter().flatten();
        if !compatibilities.into_iter().any(|name| name == "FARGATE") {
            return Err(ApiError::invalid("Task definition does not support launch_type FARGATE."));
        }
        Ok(())
    }
}

/// Members of a RegisterTaskDefinition request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Request {
    pub(crate) family: String,
    pub(crate) task_role_arn: Option<String>,
    pub(crate) execution_role_arn: Option<String>,
    pub(crate) network_mode: Option<String>,
    pub(crate) container_definitions: Vec<ContainerDefinition>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) placement_constraints: Vec<Value>,
    pub(crate) requires_compatibilities: Vec<String>,
    pub(crate) cpu: Option<String>,
    pub(crate) memory: Option<String>,
    pub(crate) tags: Vec<Value>,
    pub(crate) pid_mode: Option<String>,
    pub(crate) ipc_mode: Option<String>,
    pub(crate) runtime_platform: Option<RuntimePlatform>,
    pub(crate) ephemeral_storage: Option<EphemeralStorage>,
}

/// Where the task's images run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct RuntimePlatform {
    pub(crate) cpu_architecture: Option<String>,
    pub(crate) operating_system_family: Option<String>,
}

/// GiB of disk.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct EphemeralStorage {
    #[serde(rename = "sizeInGiB")]
    pub(crate) size_in_gib: i64,
}

/// A volume of the task; without any configuration it is empty, and gone with the task.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) host: Option<Host>,
    pub(crate) docker_volume_configuration: Option<Value>,
    pub(crate) efs_volume_configuration: Option<Value>,
    pub(crate) fsx_windows_file_server_volume_configuration: Option<Value>,
}

/// A path of the host, which Fargate does not have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Host {
    pub(crate) source_path: Option<String>,
}

/// A container.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ContainerDefinition {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) cpu: i64,
    /// MiB.
    pub(crate) memory: Option<i64>,
    pub(crate) memory_reservation: Option<i64>,
    pub(crate) essential: bool,
    pub(crate) entry_point: Option<Vec<String>>,
    pub(crate) command: Option<Vec<String>>,
    pub(crate) environment: Vec<KeyValue>,
    pub(crate) environment_files: Vec<Value>,
    pub(crate) restart_policy: Option<Value>,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) mount_points: Vec<MountPoint>,
    pub(crate) volumes_from: Vec<VolumeFrom>,
    pub(crate) linux_parameters: LinuxParameters,
    pub(crate) depends_on: Vec<Dependency>,
    /// Seconds.
    pub(crate) start_timeout: Option<i64>,
    pub(crate) stop_timeout: Option<i64>,
    pub(crate) user: Option<String>,
    pub(crate) working_directory: Option<String>,
    pub(crate) readonly_root_filesystem: bool,
    pub(crate) ulimits: Vec<Ulimit>,
    pub(crate) log_configuration: Option<LogConfiguration>,
    pub(crate) health_check: Option<HealthCheck>,
    pub(crate) port_mappings: Vec<PortMapping>,
    pub(crate) docker_labels: BTreeMap<String, String>,
    pub(crate) system_controls: Vec<SystemControl>,
    pub(crate) interactive: bool,
    pub(crate) pseudo_terminal: bool,
    pub(crate) privileged: bool,
    pub(crate) disable_networking: bool,
    pub(crate) hostname: Option<String>,
    pub(crate) links: Vec<String>,
    pub(crate) dns_servers: Vec<String>,
    pub(crate) dns_search_domains: Vec<String>,
    pub(crate) docker_security_options: Vec<String>,
    pub(crate) extra_hosts: Vec<Value>,
}

impl Default for ContainerDefinition {
    fn default() -> Self {
        Self {
            name: String::new(),
            image: String::new(),
            cpu: 0,
            memory: None,
            memory_reservation: None,
            // The only member whose absence means yes.
            essential: true,
            entry_point: None,
            command: None,
            environment: Vec::new(),
            environment_files: Vec::new(),
            restart_policy: None,
            secrets: Vec::new(),
            mount_points: Vec::new(),
            volumes_from: Vec::new(),
            linux_parameters: LinuxParameters::default(),
            depends_on: Vec::new(),
            start_timeout: None,
            stop_timeout: None,
            user: None,
            working_directory: None,
            readonly_root_filesystem: false,
            ulimits: Vec::new(),
            log_configuration: None,
            health_check: None,
            port_mappings: Vec::new(),
            docker_labels: BTreeMap::new(),
            system_controls: Vec::new(),
            interactive: false,
            pseudo_terminal: false,
            privileged: false,
            disable_networking: false,
            hostname: None,
            links: Vec::new(),
            dns_servers: Vec::new(),
            dns_search_domains: Vec::new(),
            docker_security_options: Vec::new(),
            extra_hosts: Vec::new(),
        }
    }
}

/// An environment variable.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct KeyValue {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl std::fmt::Debug for KeyValue {
    /// Without the value, which may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=...", self.name)
    }
}

/// An environment variable whose value is kept elsewhere.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Secret {
    pub(crate) name: String,
    /// ARN of a secret or parameter, or the parameter's name.
    pub(crate) value_from: String,
}

/// Where a volume is seen.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct MountPoint {
    pub(crate) source_volume: String,
    pub(crate) container_path: String,
    pub(crate) read_only: bool,
}

/// All mount points of another container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct VolumeFrom {
    pub(crate) source_container: String,
    pub(crate) read_only: bool,
}

/// What of Linux can be asked for; Fargate refuses most of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct LinuxParameters {
    pub(crate) capabilities: Capabilities,
    pub(crate) init_process_enabled: bool,
    pub(crate) devices: Vec<Value>,
    pub(crate) tmpfs: Vec<Tmpfs>,
    pub(crate) shared_memory_size: Option<i64>,
    pub(crate) max_swap: Option<i64>,
    pub(crate) swappiness: Option<i64>,
}

/// Memory mounted as a file system.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Tmpfs {
    pub(crate) container_path: String,
    /// MiB.
    pub(crate) size: i64,
    pub(crate) mount_options: Vec<String>,
}

/// Capabilities beside or without the container runtime's default set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Capabilities {
    pub(crate) add: Vec<String>,
    pub(crate) drop: Vec<String>,
}

/// A container that must have got so far before this one starts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Dependency {
    pub(crate) container_name: String,
    /// START, COMPLETE, SUCCESS or HEALTHY.
    pub(crate) condition: String,
}

/// A resource limit.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Ulimit {
    pub(crate) name: String,
    pub(crate) soft_limit: i64,
    pub(crate) hard_limit: i64,
}

/// Where the container's output goes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct LogConfiguration {
    pub(crate) log_driver: String,
    pub(crate) options: BTreeMap<String, String>,
}

/// A command that says whether the container is well. Seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct HealthCheck {
    pub(crate) command: Vec<String>,
    pub(crate) interval: i64,
    pub(crate) timeout: i64,
    pub(crate) retries: i64,
    pub(crate) start_period: i64,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self { command: Vec::new(), interval: 30, timeout: 5, retries: 3, start_period: 0 }
    }
}

/// A port.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PortMapping {
    pub(crate) container_port: i64,
    pub(crate) host_port: Option<i64>,
}

/// A namespaced kernel parameter.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SystemControl {
    pub(crate) namespace: String,
    pub(crate) value: String,
}

/// What RunTask overrides of a task.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct TaskOverride {
    pub(crate) container_overrides: Vec<ContainerOverride>,
    pub(crate) cpu: Option<String>,
    pub(crate) memory: Option<String>,
    pub(crate) task_role_arn: Option<String>,
    pub(crate) ephemeral_storage: Option<EphemeralStorage>,
}

/// What RunTask overrides of a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ContainerOverride {
    pub(crate) name: Option<String>,
    pub(crate) command: Option<Vec<String>>,
    pub(crate) environment: Vec<KeyValue>,
    pub(crate) cpu: Option<i64>,
    pub(crate) memory: Option<i64>,
    pub(crate) memory_reservation: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_essential_unless_it_says_otherwise() {
        let read = |text| serde_json::from_str::<ContainerDefinition>(text).expect("a container");
        assert!(read("{}").essential && !read(r#"{"essential": false}"#).essential);
        assert_eq!(read(r#"{"healthCheck": {"interval": 7}}"#).health_check.expect("a check").retries, 3);
    }

    #[test]
    fn values_are_not_shown() {
        let read = serde_json::from_str::<ContainerDefinition>(r#"{"environment": [{"name": "A", "value": "hush"}]}"#);
        assert!(!format!("{:?}", read.expect("a container")).contains("hush"));
    }
}
