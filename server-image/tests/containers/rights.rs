//! A session has what a plain `docker run` of the same image would have, whatever that is.

use crate::docker::{Container, Root, docker, is_there, text};

/// What decides about rights, in `/proc/self/status` (proc(5)), then the limits.
const TELL: &str = "cat /proc/self/status /proc/self/limits /proc/self/oom_score_adj";
const FIELDS: [&str; 11] = [
    "Uid:",
    "Gid:",
    "Groups:",
    "Umask:",
    "SigBlk:",
    "CapInh:",
    "CapPrm:",
    "CapEff:",
    "CapBnd:",
    "CapAmb:",
    "NoNewPrivs:",
];

fn rights(told: &str) -> Vec<&str> {
    let (status, rest) = told.split_at(told.find("Limit ").unwrap_or(told.len()));
    status.lines().filter(|line| FIELDS.iter().any(|field| line.starts_with(field))).chain(rest.lines()).collect()
}

#[test]
fn a_sessions_rights_are_those_of_a_plain_run() {
    if !is_there() {
        return;
    }
    let image = Root::new().init().busybox().image(&[r#"ENTRYPOINT ["/fargate-init"]"#, "ENV PATH=/bin"]);
    for options in [
        &[][..],
        &["--user=1234:1234", "--group-add=5678"],
        &["--security-opt=no-new-privileges"],
        &["--cap-drop=ALL"],
        &["--cap-add=SYS_PTRACE", "--ulimit=core=0", "--ulimit=nofile=1000:2000"],
    ] {
        let plain = [&["run", "--rm", "--entrypoint=/bin/sh"], options, &[image.0.as_str(), "-c", TELL]].concat();
        let plain = text(&docker(&plain).stdout);
        assert!(rights(&plain).len() > FIELDS.len() + 10, "{options:?}: {plain}");
        let mut container = Container::run(&image, options, &[]);
        let session = container.ssh(&[TELL]);
        assert_eq!(rights(&text(&session.stdout)), rights(&plain), "{options:?}: {}", text(&session.stderr));
        assert_eq!(container.ended(), 0);
    }
}
