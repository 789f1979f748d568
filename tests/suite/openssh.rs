//! OpenSSH as the peer: our client logs into its `sshd` started the ancestor's way. (Its `ssh` logs into our init in
//! `server-image/tests`.)

use e2e::ancestor;

#[test]
fn our_client_logs_into_an_sshd_started_the_ancestors_way() {
    let world = ancestor::world();
    let done = world
        .login()
        .args(ancestor::flags())
        .args(["--shell-command", "cat; echo err >&2; exit 9"])
        .run_with(b"through");
    assert_eq!((done.code, done.text().as_str()), (9, "through"), "{}", done.stderr);
    assert!(done.stderr.contains("err\n"), "{}", done.stderr);
    assert_eq!(world.stopped_task().stop_code.as_deref(), Some("UserInitiated"));
}

#[test]
fn a_foreign_host_key_is_refused_when_ours_is_pinned() {
    let world = ancestor::world();
    let done = world.login().args(["--", "true"]).run();
    assert_eq!(done.code, 255);
    assert!(done.stderr.contains("SHA256:"), "both fingerprints are named: {}", done.stderr);
    assert_eq!(world.stopped_task().stop_code.as_deref(), Some("UserInitiated"));
}
