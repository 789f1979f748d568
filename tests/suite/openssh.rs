//! OpenSSH as the peer: our client logs into its `sshd` started the ancestor's way. (Its `ssh` logs into our init in
//! `server-image/tests`.)

use e2e::World;

/// A container of the ancestor's kind: `authorized_keys` from `_AUTHORIZED_PUBLIC_KEY`, then `sshd`. The configuration only
/// moves what would touch the machine into the container's scratch directory.
const ANCESTOR: &str = r#"
set -e
umask 077
mkdir -p .ssh /run/sshd
printf '%s\n' "$_AUTHORIZED_PUBLIC_KEY" > authorized_keys
ssh-keygen -q -t ed25519 -N '' -f host_key
cat > sshd_config <<END
ListenAddress $LOCAL_FARGATE_ADDRESS
Port 2222
HostKey $PWD/host_key
AuthorizedKeysFile $PWD/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
AcceptEnv LANG LC_*
END
exec /usr/sbin/sshd -D -e -f sshd_config
"#;

fn ancestor() -> World {
    World::with(|config| {
        config.images[0].entry_point = vec!["/bin/sh".into(), "-c".into(), ANCESTOR.into()];
    })
}

#[test]
fn our_client_logs_into_an_sshd_started_the_ancestors_way() {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).expect("a user database").expect("a user").name;
    let flags = ["--host-key", "accept-new", "-l", &user];
    let world = ancestor();
    let done = world.login().args(flags).args(["--shell-command", "cat; echo err >&2; exit 9"]).run_with(b"through");
    assert_eq!((done.code, done.text().as_str()), (9, "through"), "{}", done.stderr);
    assert!(done.stderr.contains("err\n"), "{}", done.stderr);
    assert_eq!(world.stopped_task().stop_code.as_deref(), Some("UserInitiated"));
}

#[test]
fn a_foreign_host_key_is_refused_when_ours_is_pinned() {
    let world = ancestor();
    let done = world.login().args(["--", "true"]).run();
    assert_eq!(done.code, 255);
    assert!(done.stderr.contains("SHA256:"), "both fingerprints are named: {}", done.stderr);
    assert_eq!(world.stopped_task().stop_code.as_deref(), Some("UserInitiated"));
}
