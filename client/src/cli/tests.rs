//! The command line as a whole: what it means, which source wins, and how each kind of mistake is told.

mod any_image;
mod forwards;
mod ingress;
mod openssh;
mod tunnel;

use std::time::Duration;

use super::*;
use crate::options::{Errand, EscapeChar, HostKeyMode, Latency, Launcher, Options, RemoteCommand, TimingsFormat, Tty};

/// A home with nothing in it: no test reads the files of whoever runs it.
struct Home {
    folder: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), variables: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    fn user_file(self, text: &str) -> Self {
        let folder = self.folder.path().join(".config/fargate-login");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("config.toml"), text).expect("a file");
        self
    }

    fn project_file(self, text: &str) -> Self {
        std::fs::write(self.folder.path().join(".fargate-login.toml"), text).expect("a file");
        self
    }

    fn parse(&self, args: &[&str]) -> Result<Invocation, Usage> {
        let env = |name: &str| match name {
            "HOME" => Some(self.folder.path().display().to_string()),
            _ => self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()),
        };
        let args = std::iter::once("fargate-login").chain(args.iter().copied()).map(OsString::from);
        parse(args, &env, self.folder.path())
    }

    fn login(&self, args: &[&str]) -> Options {
        match self.parse(args) {
            Ok(Invocation::Login(options)) => *options,
            other => panic!("{args:?}: {other:?}"),
        }
    }

    /// What is said to wrong usage, without colours and without the folder's name.
    fn wrong(&self, args: &[&str]) -> String {
        match self.parse(args) {
            Err(Usage::Wrong(text)) => {
                anstream::adapter::strip_str(&text).to_string().replace(&self.folder.path().display().to_string(), "~")
            }
            other => panic!("{args:?}: {other:?}"),
        }
    }
}

/// Every command line with what is said to it.
fn told(lines: &[&[&str]]) -> String {
    let home = Home::new();
    lines.iter().map(|args| format!("$ {}\n{}\n", args.join(" "), home.wrong(args))).collect()
}

fn snapshot(name: &str, text: &str) {
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, text) });
}

#[test]
fn the_ancestors_command_line_means_what_it_meant() {
    let one =
        ["-n", "x:3", "-sg", "sg-1,sg-2", "-sn=subnet-1", "-public=false", "-cluster", "c", "-cli-container-name=k"];
    let two =
        ["--n=x:3", "--sg=sg-1,sg-2", "--sn", "subnet-1", "--public=F", "--cluster=c", "--cli-container-name", "k"];
    let long = [
        "--task-definition=x:3",
        "--security-groups=sg-1",
        "--security-groups=sg-2",
        "--subnets=subnet-1",
        "--no-public",
        "--cluster=c",
        "--container=k",
    ];
    for args in [&one[..], &two[..], &long[..]] {
        let options = Home::new().login(args);
        assert_eq!(options.task_definition.as_deref(), Some("x:3"));
        assert_eq!(options.security_groups, ["sg-1", "sg-2"]);
        assert_eq!(options.subnets, ["subnet-1"]);
        assert_eq!(options.public, Some(false));
        assert_eq!((options.cluster.as_deref(), options.container.as_deref()), (Some("c"), Some("k")));
    }
    assert_eq!(Home::new().login(&["-public"]).public, Some(true));
    assert_eq!(Home::new().login(&["-public", "--no-public"]).public, Some(false));
    assert_eq!(Home::new().login(&["--no-public", "-public"]).public, Some(true));
}

#[test]
fn sshs_flags_mean_what_they_mean_there() {
    let options = Home::new().login(&["-vT", "-lroot", "-p22", "-e", "none", "-oUser=x", "-o", "ConnectTimeout 7"]);
    assert_eq!((options.verbose, options.tty, options.port), (1, Tty::Never, Some(22)));
    assert_eq!((options.user.as_deref(), options.escape), (Some("root"), Some(EscapeChar::None)));
    assert_eq!(options.connect_timeout, Some(Duration::from_secs(7)));
    let tty = |args| Home::new().login(args).tty;
    assert_eq!((tty(&["-t"]), tty(&["-tt"]), tty(&["-T", "-t"])), (Tty::Request, Tty::Force, Tty::Request));
    assert_eq!((tty(&["-tt", "-T"]), tty(&["-o", "RequestTTY=force"])), (Tty::Never, Tty::Force));
    let talk = |args| {
        let options = Home::new().login(args);
        (options.quiet, options.verbose)
    };
    assert_eq!((talk(&["-vvv"]), talk(&["-vq"]), talk(&["-qv"])), ((false, 3), (true, 0), (false, 1)));
}

#[test]
fn a_command_is_what_follows_the_dashes() {
    let command = |args| match Home::new().login(args).errand {
        Errand::Session(command) => command,
        other => panic!("{other:?}"),
    };
    let argv = |words: &[&str]| RemoteCommand::Argv(words.iter().map(|word| (*word).to_owned()).collect());
    assert_eq!(command(&["--", "ls", "-sg", "--", "a b", ""]), argv(&["ls", "-sg", "--", "a b", ""]));
    assert_eq!(command(&["login", "-v", "--", "local"]), argv(&["local"]));
    assert_eq!(command(&["-v", "login", "--", "id"]), argv(&["id"]));
    assert_eq!(command(&["--shell-command", "-x | y"]), RemoteCommand::ShellCommand("-x | y".to_owned()));
    assert_eq!((command(&[]), command(&["--"])), (RemoteCommand::Shell, RemoteCommand::Shell));
}

#[test]
fn flags_around_the_word_login_are_one_login() {
    let options = Home::new().login(&["-n", "x", "-p", "1", "login", "-p", "2"]);
    assert_eq!((options.task_definition.as_deref(), options.port), (Some("x"), Some(2)));
}

#[test]
fn the_last_of_a_flag_wins_and_lists_grow() {
    for args in [
        &["-n", "a", "-n", "b", "-sg", "sg-1", "--sg", "sg-2,sg-3", "--spot", "--spot=no"][..],
        &["login", "-n", "a", "-n", "b", "-sg", "sg-1", "--sg", "sg-2,sg-3", "--spot", "--spot=no"],
    ] {
        let options = Home::new().login(args);
        assert_eq!((options.task_definition.as_deref(), options.spot), (Some("b"), Some(false)), "{args:?}");
        assert_eq!(options.security_groups, ["sg-1", "sg-2", "sg-3"], "{args:?}");
    }
}

#[test]
fn the_definitions_are_consistent() {
    command().debug_assert();
}

#[test]
fn the_rest_is_parsed_into_what_the_plan_takes() {
    let args = "--cpu .5 --memory 2g --ephemeral-storage 30 --idle-timeout off --login-timeout 90 --max-lifetime 1h30m \
                --start-timeout 300ms --timings --host-key accept-new --local --dry-run --no-tags --spot";
    let options = Home::new().login(&args.split_whitespace().collect::<Vec<_>>());
    assert_eq!((options.cpu, options.memory, options.ephemeral_storage), (Some(512), Some(2048), Some(30)));
    assert_eq!(options.idle_timeout, Some(Duration::ZERO));
    assert_eq!(options.login_timeout, Some(Duration::from_secs(90)));
    assert_eq!(options.max_lifetime, Some(Duration::from_secs(5400)));
    assert_eq!(options.start_timeout, Some(Duration::from_millis(300)));
    assert_eq!((options.timings, options.host_key), (Some(TimingsFormat::Text), Some(HostKeyMode::AcceptNew)));
    assert!(
        options.local == Some(Launcher::Process) && options.dry_run && options.no_tags && options.spot == Some(true)
    );
    assert_eq!(Home::new().login(&["--timings=json"]).timings, Some(TimingsFormat::Json));
}

#[test]
fn local_has_flags_of_its_own() {
    let local = |home: &Home, args: &[&str]| match home.parse(args) {
        Ok(Invocation::Local(options)) => (options.listen.to_string(), options.latency, options.seed),
        other => panic!("{args:?}: {other:?}"),
    };
    assert_eq!(local(&Home::new(), &["local"]), ("127.0.0.1:4566".to_owned(), Latency::Instant, None));
    let args = ["local", "--listen", "[::1]:0", "--latency=fargate", "--seed", "7"];
    assert_eq!(local(&Home::new(), &args), ("[::1]:0".to_owned(), Latency::Fargate, Some(7)));
    let home = Home::new().with("FARGATE_LOGIN_SEED", "9").with("FARGATE_LOGIN_LATENCY", "fargate");
    assert_eq!(local(&home, &["local", "--latency=instant"]), ("127.0.0.1:4566".to_owned(), Latency::Instant, Some(9)));
}

#[test]
fn flags_win_over_variables_over_the_project_file_over_the_user_file() {
    let home = Home::new()
        .user_file(
            "cluster = 'user'\nregion = 'user'\nprofile = 'user'\nuser = 'user'\nspot = true\nquiet = true\n\
             [env]\nA = 'user'\nB = 'user'\n",
        )
        .project_file(
            "cluster = 'project'\nregion = 'project'\nprofile = 'project'\nenv = ['B=project']\n\
             subnets = ['subnet-1', 'subnet-2']\n",
        )
        .with("FARGATE_LOGIN_CLUSTER", "variable")
        .with("FARGATE_LOGIN_REGION", "variable")
        .with("FARGATE_LOGIN_SPOT", "false")
        .with("FARGATE_LOGIN_VERBOSE", "2")
        .with("FARGATE_LOGIN_SECURITY_GROUPS", "sg-1,sg-2")
        .with("FARGATE_LOGIN_ENV", "C=variable 'D=x y'")
        .with("FARGATE_LOGIN_SSH_OPTION", "Port=1 RequestTTY=no")
        .with("FARGATE_LOGIN_PORT", "2")
        .with("FARGATE_LOGIN_USER", "");
    let options = home.login(&["--cluster", "flag"]);
    assert_eq!(options.cluster.as_deref(), Some("flag"));
    assert_eq!(options.source.region.as_deref(), Some("variable"));
    assert_eq!(options.source.profile.as_deref(), Some("project"));
    assert_eq!(options.user.as_deref(), Some("user"));
    assert_eq!((options.spot, options.quiet, options.verbose), (Some(false), false, 2));
    assert_eq!((options.port, options.tty), (Some(2), Tty::Never));
    assert_eq!(options.subnets, ["subnet-1", "subnet-2"]);
    assert_eq!(options.security_groups, ["sg-1", "sg-2"]);
    let env: Vec<String> = options.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["A=user", "B=project", "C=variable", "D=x y"]);
}

#[test]
fn a_variable_named_alone_takes_over_the_value_it_has_here() {
    let home = Home::new().with("TOKEN", "t=1").user_file("env = ['TOKEN']");
    let token = ("TOKEN".to_owned(), "t=1".to_owned());
    assert_eq!(home.login(&[]).env, std::slice::from_ref(&token));
    assert_eq!(Home::new().with("TOKEN", "t=1").login(&["--env", "TOKEN"]).env, [token]);
}

#[test]
fn a_project_file_decides_nothing_about_trust() {
    for (text, key) in [
        ("endpoint-url = 'http://127.0.0.1:1'", "endpoint-url"),
        ("host-key = 'accept-new'", "host-key"),
        ("record = 'session.cast'", "record"),
        ("ssh-option = ['Port=1', 'StrictHostKeyChecking=accept-new']", "ssh-option"),
        ("env = ['AWS_SECRET_ACCESS_KEY']", "env"),
    ] {
        let told = Home::new().with("AWS_SECRET_ACCESS_KEY", "s3cret").project_file(text).wrong(&[]);
        assert!(told.contains(&format!("`{key}` in ~/.fargate-login.toml is not for a project file")), "{told}");
        assert!(!told.contains("s3cret"), "{told}");
    }
}

#[test]
fn no_command_comes_from_elsewhere() {
    let home = Home::new().with("FARGATE_LOGIN_SHELL_COMMAND", "id").with("FARGATE_LOGIN_COMMAND", "id");
    assert_eq!(home.login(&[]).errand, Errand::default());
    for key in ["shell-command", "command", "no-public", "help", "version"] {
        let told = Home::new().project_file(&format!("{key} = 'x'")).wrong(&[]);
        assert!(told.contains(&format!("`{key}` in ~/.fargate-login.toml is not a setting")), "{told}");
    }
}

#[test]
fn help_and_version_are_data() {
    let shown = |args: &[&str]| match Home::new().parse(args) {
        Err(Usage::Shown(text)) => anstream::adapter::strip_str(&text).to_string(),
        other => panic!("{args:?}: {other:?}"),
    };
    for args in [&["-V"][..], &["--version"], &["local", "-V"], &["-n", "x", "-V", "--nonsense"]] {
        assert!(shown(args).ends_with(concat!(env!("CARGO_PKG_VERSION"), "\n")), "{args:?}");
    }
    let (login, local) = (shown(&["--help"]), shown(&["local", "--help"]));
    for args in [&["-h"][..], &["help"], &["login", "-h"], &["help", "login"]] {
        assert_eq!(shown(args), login, "{args:?}");
    }
    assert_eq!((shown(&["local", "-h"]), shown(&["help", "local"])), (local.clone(), local.clone()));
    assert_ne!(login, local);
}

#[test]
fn wrong_flags_are_told() {
    snapshot(
        "wrong_flags_are_told",
        &told(&[
            &["--wibble"],
            &["--conatiner=x"],
            &["-x"],
            &["-vx"],
            &["-sgx", "a"],
            &["-clusterfoo"],
            &["-publik"],
            &["-local"],
            &["-n"],
            &["-n", "-sg", "a"],
            &["--port="],
            &["-t=1"],
            &["--no-public=1"],
            &["--shell-command", "id", "--", "id"],
        ]),
    );
}

#[test]
fn wrong_values_are_told() {
    snapshot(
        "wrong_values_are_told",
        &told(&[
            &["--login-timeout", "soon"],
            &["--max-lifetime", "0"],
            &["--idle-timeout", "never"],
            &["-p", "70000"],
            &["--cpu", "300"],
            &["--memory", "1000"],
            &["--cpu", "512", "--memory", "8g"],
            &["--ephemeral-storage", "20"],
            &["--platform-version", "1.4"],
            &["--task-role-arn", "Admin"],
            &["--endpoint-url", "localhost:4566"],
            &["-sg", "subnet-1"],
            &["-sn", "sg-1"],
            &["--spot=maybe"],
            &["--timings=xml"],
            &["--host-key", "no"],
            &["--record", "-"],
            &["-e", "ab"],
            &["--env", "_AUTHORIZED_PUBLIC_KEY=s3cret"],
            &["--env", "A-B=s3cret"],
            &["--env", "NOT_SET_HERE"],
            &["local", "--listen", "0.0.0.0:4566"],
        ]),
    );
}

#[test]
fn wrong_ssh_options_are_told() {
    snapshot(
        "wrong_ssh_options_are_told",
        &told(&[
            &["-o", "ProxyJump=x"],
            &["-o", "ServerAliveIntervall=5"],
            &["-o", "Port=ssh"],
            &["-o", "Port"],
            &["-o", "StrictHostKeyChecking=no"],
            &["-o", "LogLevel=LOUD"],
            &["-o", "RequestTTY=perhaps"],
            &["-o", "SetEnv=A"],
            &["-o", "SetEnv=1A=s3cret"],
        ]),
    );
}

#[test]
fn wrong_words_are_told() {
    snapshot(
        "wrong_words_are_told",
        &told(&[
            &["lcoal"],
            &["psql", "-h", "db"],
            &["-n", "x", "ls -la"],
            &["--public", "false"],
            &["login", "login"],
            &["-n", "x", "local"],
            &["local", "-n", "x"],
            &["--seed", "1"],
            &["help", "me"],
        ]),
    );
}

#[test]
fn wrong_settings_are_told() {
    let home = Home::new;
    let told: Vec<String> = [
        home().project_file("clustr = 'x'"),
        home().project_file("wibble = 1"),
        home().user_file("port = 70000"),
        home().user_file("port = [22, 23]"),
        home().user_file("spot = 'perhaps'"),
        home().project_file("cpu = 512\nmemory = '8g'"),
        home().project_file("a = 1\ncluster = \n"),
        home().project_file("max-lifetime = 07:32:00"),
        home().project_file("[env]\n1A = 's3cret'\n"),
        home().user_file("env = ['NOT_SET_HERE']"),
        home().with("FARGATE_LOGIN_PORT", "ssh"),
        home().with("FARGATE_LOGIN_SPOT", "perhaps"),
        home().with("FARGATE_LOGIN_VERBOSE", "much"),
        home().with("FARGATE_LOGIN_ENV", "NOT_SET_HERE"),
    ]
    .iter()
    .map(|home| home.wrong(&[]))
    .collect();
    snapshot("wrong_settings_are_told", &told.join("\n"));
}

#[test]
fn local_says_what_runs_its_tasks() {
    let launcher = |args: &[&str]| match Home::new().parse(args) {
        Ok(Invocation::Login(options)) => options.local,
        other => panic!("{other:?}"),
    };
    assert_eq!(launcher(&["-n", "x"]), None);
    assert_eq!(launcher(&["--local"]), Some(Launcher::Process));
    assert_eq!(launcher(&["--local=docker"]), Some(Launcher::Docker));
    assert_eq!(launcher(&["--local=false"]), None);
    assert!(Home::new().parse(&["--local=podman"]).is_err());
}
