//! What `ssh-config` writes: the same settings wherever ssh is started from later, in a file that is its own.

use std::os::unix::fs::PermissionsExt;

use e2e::{SshHost, World};

use super::{GOES, STAYS};

#[test]
fn the_block() {
    let host = SshHost::new(World::new(), &["--user", "root", "--env", "GREETING=it's 100% ${HOME}"]);
    let text = std::fs::read_to_string(host.config()).expect("text");
    let executable = e2e::world::executable();
    let hash = text.lines().find_map(|line| line.trim().strip_prefix("IdentityAgent ")).expect("an agent");
    let hash = hash.trim_end_matches("/agent").rsplit('/').next().expect("a directory").to_owned();
    let text = text.replace(&executable.display().to_string(), "/usr/local/bin/fargate-login");
    let text =
        text.replace(&host.runtime().display().to_string(), "/run/user/1000/fargate-login").replace(&hash, "[HASH]");
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!("the_block", text) });
    assert_eq!(host.run("printf %s \"$GREETING\"").run().text(), "it's 100% ${HOME}");
}

#[test]
fn variables_and_the_project_file_are_taken_along() {
    let world = World::new();
    let project = tempfile::tempdir().expect("a directory");
    std::fs::write(project.path().join(".fargate-login.toml"), "subnets = [\"subnet-1\"]\nport = 2222\n")
        .expect("written");
    let host = SshHost::new(world, &GOES);
    let asked = host
        .world
        .program()
        .env("FARGATE_LOGIN_TASK_DEFINITION", "test-cli")
        .env("FARGATE_LOGIN_ENV", "GREETING=hello")
        .args(["ssh-config", "--host", "dev", "--linger", "1s", "--runtime-dir"])
        .arg(host.runtime().as_os_str());
    let (executable, args, env) = asked.parts();
    let written = std::process::Command::new(executable)
        .args(args)
        .env_clear()
        .envs(env.iter().cloned())
        .current_dir(project.path())
        .output()
        .expect("it starts");
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    std::fs::write(host.config(), written.stdout).expect("written");
    // ssh is started elsewhere, without those variables.
    let done = host.run("echo $GREETING").run();
    assert_eq!((done.code, done.text().as_str()), (0, "hello\n"), "{}", done.stderr);
}

#[test]
fn openssh_understands_every_line() {
    let host = SshHost::new(World::new(), &STAYS);
    let read = host.ssh().args(["-G", "dev"]).run();
    assert_eq!(read.code, 0, "{}", read.stderr);
    let has = |line: &str| assert!(read.text().lines().any(|read| read == line), "{line}:\n{}", read.text());
    for line in [
        "user root",
        "hostkeyalias dev",
        "stricthostkeychecking true",
        "updatehostkeys false",
        "forwardagent no",
        "connecttimeout 300",
        "hostkeyalgorithms ssh-ed25519",
        "identityfile none",
        "serveraliveinterval 15",
    ] {
        has(line);
    }
    assert_eq!(host.launches(), 0);
}

#[test]
fn it_writes_a_file_of_its_own_and_no_other() {
    let host = SshHost::new(World::new(), &GOES);
    let ssh = host.world.home().join(".ssh");
    std::fs::create_dir(&ssh).expect("made");
    std::fs::write(ssh.join("config"), "Host *\n    User somebody\n").expect("written");
    let done = host.ssh_config(&["--linger", "1s", "--write"]).run();
    assert_eq!((done.code, done.text().as_str()), (0, ""), "{}", done.stderr);
    assert!(done.stderr.contains("Include fargate-login/*.conf"), "{}", done.stderr);
    assert_eq!(std::fs::read_to_string(ssh.join("config")).expect("text"), "Host *\n    User somebody\n");
    let file = ssh.join("fargate-login/dev.conf");
    let mode = |path: &std::path::Path| path.metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().expect("a directory"))), (0o600, 0o700));
    // As the user's configuration has it, before what the user says for all hosts.
    let text =
        format!("Include {}/fargate-login/*.conf\nHost *\n    User somebody\n    IdentitiesOnly yes\n", ssh.display());
    std::fs::write(host.config(), text).expect("written");
    let session = host.run("echo in").run();
    assert_eq!((session.code, session.text().as_str()), (0, "in\n"), "{}", session.stderr);
    std::fs::write(ssh.join("config"), "include fargate-login/*.conf\n").expect("written");
    let again = host.ssh_config(&["--write"]).run();
    assert!(again.code == 0 && !again.stderr.contains("Include"), "{}", again.stderr);
    std::fs::write(&file, "Host dev\n").expect("written");
    let refused = host.ssh_config(&["--write"]).run();
    assert_eq!(refused.code, 255);
    assert!(refused.stderr.contains("dev.conf is not a file of ours"), "{}", refused.stderr);
}

#[test]
fn a_directory_that_others_can_enter_is_refused() {
    let host = SshHost::new(World::new(), &GOES);
    std::fs::create_dir(host.runtime()).expect("made");
    std::fs::set_permissions(host.runtime(), PermissionsExt::from_mode(0o755)).expect("a mode");
    let done = host.run("true").run();
    assert_eq!(done.code, 255);
    assert!(done.stderr.contains("is not a directory of our own that nobody else can enter"), "{}", done.stderr);
    assert_eq!(host.launches(), 0);
}
