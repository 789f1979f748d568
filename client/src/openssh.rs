//! OpenSSH as the client of a run: `ssh NAME`, scp, sftp, rsync, git, Ansible and editors on a task that starts on demand.
//!
//! [`config`] writes the Host block. What it names as ProxyCommand is [`proxy`], one process for each connection of OpenSSH's; it joins
//! the [`keeper`] of that host, or starts one. The keeper owns the run: it launches the task, lends the one-time key out through an
//! [`agent`], says which host key is right in a known_hosts file, relays each proxy's bytes to the task ([`visitor`]), and stops the task
//! when the last proxy has been gone for a while. [`door`] is where proxies come in, [`audience`] who hears what the keeper says, [`frame`]
//! how it travels; all of it is in a private [`directory`].

pub mod agent;
pub mod audience;
pub mod config;
pub mod directory;
pub mod door;
pub mod frame;
pub mod keeper;
pub mod proxy;
pub mod visitor;
