//! One source over another: what the higher one says wins, what it leaves open stays as the lower one had it.

use super::flags::{Flags, ForwardFlags};
use super::ssh_option::{SshOption, Talk};
use super::values::{Local, Variable};
use crate::aws::config::Source;
use crate::forward::Forwards;
use crate::forward::spec::{Forward, Listen, RemoteForward};
use crate::options::{Options, Tty};

impl Flags {
    /// These flags over options from lower sources. Lists are replaced as a whole, variables one by one; within one
    /// source, a flag of its own wins over `-o`, and of several `-o` the first, as in `ssh`.
    #[must_use]
    pub(super) fn over(self, lower: Options) -> Options {
        let ssh = SshOptions::first_of_each(self.ssh_option);
        let flag = if self.no_tty { Some(Tty::Never) } else { tty(self.tty) };
        let talk = talk(self.quiet, self.verbose).or(ssh.talk);
        let (quiet, verbose) = talk.map_or((lower.quiet, lower.verbose), |talk| match talk {
            Talk::Quiet => (true, 0),
            Talk::Verbose(level) => (false, level),
        });
        let set = self.env.into_iter().filter_map(|variable| match variable {
            Variable::Set(name, value) => Some((name, value)),
            // `layers` has put values here before anything is merged.
            Variable::TakeOver(_) => None,
        });
        // Whoever names one original, or a service that has one, does not mean another one of a lower source.
        let names_one = self.task_definition.is_some() || self.from.is_some() || self.like_service.is_some();
        let below = |lower: Option<String>| lower.filter(|_| !names_one);
        Options {
            task_definition: self.task_definition.or(below(lower.task_definition)),
            from: self.from.or(below(lower.from)),
            like_service: self.like_service.or(lower.like_service),
            derive: self.derive.unwrap_or(lower.derive),
            init_image: self.init_image.or(lower.init_image),
            keep_entrypoint: self.keep_entrypoint.unwrap_or(lower.keep_entrypoint),
            with_sidecars: self.with_sidecars.unwrap_or(lower.with_sidecars),
            add_tmp: self.add_tmp.unwrap_or(lower.add_tmp),
            security_groups: list(self.security_groups, lower.security_groups),
            allow_my_ip: self.allow_my_ip.unwrap_or(lower.allow_my_ip),
            allow_cidrs: list(self.allow_cidr, lower.allow_cidrs),
            my_ip_url: self.my_ip_url.or(lower.my_ip_url),
            subnets: list(self.subnets, lower.subnets),
            public: if self.no_public { Some(false) } else { self.public.or(lower.public) },
            via: self.via.via.or(lower.via),
            ssm_sessions: self.via.ssm_sessions.or(lower.ssm_sessions),
            cluster: self.cluster.or(lower.cluster),
            container: self.container.or(lower.container),
            user: self.user.or(ssh.user).or(lower.user),
            port: self.port.or(ssh.port).or(lower.port),
            tty: flag.or(ssh.tty).unwrap_or(lower.tty),
            quiet,
            verbose,
            errand: lower.errand,
            carried: lower.carried,
            forwards: forwards(self.forwards, ssh.forwards, lower.forwards),
            escape: self.escape_char.or(ssh.escape).or(lower.escape),
            server_alive_interval: ssh.server_alive_interval.or(lower.server_alive_interval),
            server_alive_count_max: ssh.server_alive_count_max.or(lower.server_alive_count_max),
            connect_timeout: ssh.connect_timeout.or(lower.connect_timeout),
            set_env: variables(ssh.set_env, lower.set_env),
            host_key: self.host_key.or(ssh.host_key).or(lower.host_key),
            source: Source {
                profile: self.profile.or(lower.source.profile),
                region: self.region.or(lower.source.region),
                endpoint_url: self.endpoint_url.or(lower.source.endpoint_url),
            },
            local: match self.local {
                Some(Local::On(launcher)) => Some(launcher),
                Some(Local::No) => None,
                None => lower.local,
            },
            dry_run: self.dry_run.unwrap_or(lower.dry_run),
            no_tags: self.no_tags.unwrap_or(lower.no_tags),
            spot: self.spot.or(lower.spot),
            capacity_providers: lower.capacity_providers,
            cpu: self.cpu.or(lower.cpu),
            memory: self.memory.or(lower.memory),
            ephemeral_storage: self.ephemeral_storage.or(lower.ephemeral_storage),
            platform_version: self.platform_version.or(lower.platform_version),
            env: variables(set.collect(), lower.env),
            task_role_arn: self.task_role_arn.or(lower.task_role_arn),
            login_timeout: self.login_timeout.or(lower.login_timeout),
            idle_timeout: self.idle_timeout.or(lower.idle_timeout),
            max_lifetime: self.max_lifetime.or(lower.max_lifetime),
            reconnect_grace: self.reconnect_grace.or(lower.reconnect_grace),
            start_timeout: self.start_timeout.or(lower.start_timeout),
            timings: self.timings.or(lower.timings),
            record: self.record.or(lower.record),
        }
    }
}

/// What one source says with `-o`.
#[derive(Default)]
struct SshOptions {
    server_alive_interval: Option<std::time::Duration>,
    server_alive_count_max: Option<u32>,
    connect_timeout: Option<std::time::Duration>,
    user: Option<String>,
    port: Option<u16>,
    tty: Option<Tty>,
    escape: Option<crate::options::EscapeChar>,
    set_env: Vec<(String, String)>,
    talk: Option<Talk>,
    host_key: Option<crate::options::HostKeyMode>,
    forwards: SshForwards,
}

/// The part of it that is about forwards.
#[derive(Default)]
struct SshForwards {
    local: Vec<Forward>,
    remote: Vec<RemoteForward>,
    dynamic: Vec<Listen>,
    agent: Option<bool>,
    gateway_ports: Option<bool>,
    exit_on_failure: Option<bool>,
}

impl SshOptions {
    fn first_of_each(options: Vec<SshOption>) -> Self {
        let mut first = Self::default();
        for option in options {
            match option {
                SshOption::ServerAliveInterval(time) => keep_first(&mut first.server_alive_interval, time),
                SshOption::ServerAliveCountMax(count) => keep_first(&mut first.server_alive_count_max, count),
                SshOption::ConnectTimeout(time) => keep_first(&mut first.connect_timeout, time),
                SshOption::User(user) => keep_first(&mut first.user, user),
                SshOption::Port(port) => keep_first(&mut first.port, port),
                SshOption::RequestTty(tty) => keep_first(&mut first.tty, tty),
                SshOption::EscapeChar(escape) => keep_first(&mut first.escape, escape),
                SshOption::SetEnv(pairs) => first.set_env = variables(first.set_env, pairs),
                SshOption::LogLevel(talk) => keep_first(&mut first.talk, talk),
                SshOption::StrictHostKeyChecking(mode) => keep_first(&mut first.host_key, mode),
                // Of these every one counts, as in ssh.
                SshOption::LocalForward(forward) => first.forwards.local.push(forward),
                SshOption::RemoteForward(forward) => first.forwards.remote.push(forward),
                SshOption::DynamicForward(listen) => first.forwards.dynamic.push(listen),
                SshOption::ForwardAgent(yes) => keep_first(&mut first.forwards.agent, yes),
                SshOption::GatewayPorts(yes) => keep_first(&mut first.forwards.gateway_ports, yes),
                SshOption::ExitOnForwardFailure(yes) => keep_first(&mut first.forwards.exit_on_failure, yes),
            }
        }
        first
    }
}

fn keep_first<T>(slot: &mut Option<T>, value: T) {
    slot.get_or_insert(value);
}

fn tty(times: u8) -> Option<Tty> {
    match times {
        0 => None,
        1 => Some(Tty::Request),
        _ => Some(Tty::Force),
    }
}

fn talk(quiet: Option<bool>, verbose: u8) -> Option<Talk> {
    match (quiet, verbose) {
        (Some(true), _) => Some(Talk::Quiet),
        (None, 0) => None,
        (_, level) => Some(Talk::Verbose(level)),
    }
}

/// One source's forwards, those of its `-o` behind those of its flags, over the lower ones. Each list is replaced as a whole.
fn forwards(flags: ForwardFlags, ssh: SshForwards, lower: Forwards) -> Forwards {
    Forwards {
        local: list(joined(flags.local_forward, ssh.local), lower.local),
        remote: list(joined(flags.remote_forward, ssh.remote), lower.remote),
        dynamic: list(joined(flags.dynamic_forward, ssh.dynamic), lower.dynamic),
        agent: flags.forward_agent.or(ssh.agent).unwrap_or(lower.agent),
        gateway_ports: ssh.gateway_ports.unwrap_or(lower.gateway_ports),
        keep_going: flags.keep_going.or(ssh.exit_on_failure.map(|exit| !exit)).unwrap_or(lower.keep_going),
    }
}

fn joined<T>(flags: Vec<T>, ssh: Vec<T>) -> Vec<T> {
    flags.into_iter().chain(ssh).collect()
}

fn list<T>(higher: Vec<T>, lower: Vec<T>) -> Vec<T> {
    if higher.is_empty() { lower } else { higher }
}

/// Lower variables first, so that what is added stands last; each name once. Within one source the last of a name wins.
fn variables(higher: Vec<(String, String)>, lower: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::with_capacity(higher.len() + lower.len());
    for (name, value) in lower.into_iter().chain(higher) {
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => all.push((name, value)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::options::Launcher;

    fn set(name: &str, value: &str) -> Variable {
        Variable::Set(name.to_owned(), value.to_owned())
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn what_is_left_open_stays() {
        let lower = Flags {
            task_definition: Some("low".to_owned()),
            subnets: vec!["subnet-1".to_owned()],
            public: Some(false),
            spot: Some(true),
            ssh_option: vec![SshOption::Port(2222), SshOption::LogLevel(Talk::Quiet)],
            command: vec!["id".to_owned()],
            max_lifetime: Some(Duration::from_secs(9)),
            ..Flags::default()
        };
        let options = lower.over(Options::default());
        let same = Flags::default().over(options.clone());
        assert_eq!(format!("{same:?}"), format!("{options:?}"));
        assert_eq!(
            (options.port, options.quiet, options.spot, options.public),
            (Some(2222), true, Some(true), Some(false))
        );
    }

    #[test]
    fn no_over_yes_is_no() {
        let yes = Options {
            spot: Some(true),
            local: Some(Launcher::Process),
            no_tags: true,
            dry_run: true,
            quiet: true,
            ..Options::default()
        };
        let no = Some(false);
        let flags = Flags { spot: no, local: Some(Local::No), no_tags: no, dry_run: no, quiet: no, ..Flags::default() };
        let options = flags.over(yes);
        assert_eq!(options.spot, no);
        assert!(options.local.is_none() && !(options.no_tags || options.dry_run || options.quiet));
        let options =
            Flags { no_public: true, ..Flags::default() }.over(Options { public: Some(true), ..Options::default() });
        assert_eq!(options.public, Some(false));
    }

    #[test]
    fn lists_are_replaced_and_variables_are_joined() {
        let lower = Flags {
            subnets: vec!["subnet-1".to_owned(), "subnet-2".to_owned()],
            env: vec![set("A", "1"), set("B", "1"), set("A", "2")],
            ..Flags::default()
        };
        let higher =
            Flags { subnets: vec!["subnet-3".to_owned()], env: vec![set("B", "2"), set("C", "3")], ..Flags::default() };
        let options = higher.over(lower.over(Options::default()));
        assert_eq!(options.subnets, ["subnet-3"]);
        assert_eq!(options.env, [pair("A", "2"), pair("B", "2"), pair("C", "3")]);
    }

    #[test]
    fn within_a_source_flags_win_over_ssh_options_and_the_first_ssh_option_wins() {
        let lower = Options { port: Some(1), user: Some("low".to_owned()), ..Options::default() };
        let flags = Flags {
            port: Some(3),
            ssh_option: vec![
                SshOption::Port(2),
                SshOption::User("first".to_owned()),
                SshOption::User("second".to_owned()),
                SshOption::SetEnv(vec![pair("A", "1")]),
                SshOption::SetEnv(vec![pair("A", "2"), pair("B", "2")]),
            ],
            ..Flags::default()
        };
        let options = flags.over(lower);
        assert_eq!((options.port, options.user.as_deref()), (Some(3), Some("first")));
        assert_eq!(options.set_env, [pair("A", "1"), pair("B", "2")]);
    }

    #[test]
    fn one_original_takes_the_place_of_another() {
        let name = |name: &str| Some(name.to_owned());
        let lower = || Options { task_definition: name("low"), like_service: name("service"), ..Options::default() };
        let seen = |options: Options| (options.task_definition, options.from, options.like_service);
        let from = Flags { from: name("web"), ..Flags::default() };
        assert_eq!(seen(from.over(lower())), (None, name("web"), name("service")));
        let like = Flags { like_service: name("other"), ..Flags::default() };
        assert_eq!(seen(like.over(lower())), (None, None, name("other")));
        let named = Flags { task_definition: name("cli"), ..Flags::default() };
        let lower = Options { from: name("web"), ..lower() };
        assert_eq!(seen(named.over(lower)), (name("cli"), None, name("service")));
    }

    #[test]
    fn talk_and_terminal_are_each_one_choice() {
        let quiet = Options { quiet: true, ..Options::default() };
        let options = Flags { verbose: 2, ..Flags::default() }.over(quiet);
        assert_eq!((options.quiet, options.verbose), (false, 2));
        let forced = Options { tty: Tty::Force, ..Options::default() };
        let auto = Flags { ssh_option: vec![SshOption::RequestTty(Tty::Auto)], ..Flags::default() };
        assert_eq!(auto.over(forced.clone()).tty, Tty::Auto);
        assert_eq!(Flags { no_tty: true, ..Flags::default() }.over(forced).tty, Tty::Never);
        assert_eq!(Flags { tty: 2, ..Flags::default() }.over(Options::default()).tty, Tty::Force);
    }
}
