//! What an image may lack, and what it may say about its sessions.

use crate::docker::{Container, Root, busybox, is_there, text};

#[test]
fn no_libc_and_no_shell() {
    if !is_there() {
        return;
    }
    // A static program that is no shell, at a place of the image's PATH.
    let image = Root::new().init().program(busybox(), "app/bin/env").image(&[
        r#"ENTRYPOINT ["/fargate-init"]"#,
        "ENV PATH=/app/bin",
        "ENV SAID='two words'",
    ]);
    let mut container = Container::run(&image, &[], &[]);
    let output = container.ssh(&["env"]);
    let shown = text(&output.stdout);
    assert!(shown.contains("SAID=two words\n") && shown.contains("PATH=/app/bin\n"), "{shown}{}", text(&output.stderr));
    assert_eq!(container.ended(), 0);
    for (command, why) in [
        (&[][..], "no shell (looked for /bin/sh, "),
        (&["env | env"], "operators"),
        (&["nothing"], "nothing: not found"),
    ] {
        let mut container = Container::run(&image, &[], &["init"]);
        let output = container.ssh(command);
        assert!(text(&output.stderr).contains(why), "{command:?}: {}", text(&output.stderr));
        assert_eq!((output.status.code(), container.ended()), (Some(127), 127), "{command:?}");
    }
}

#[test]
fn a_libc_and_no_shell() {
    if !is_there() {
        return;
    }
    let image = Root::new().init().with_libraries("/usr/bin/env").image(&[r#"ENTRYPOINT ["/fargate-init"]"#]);
    let mut container = Container::run(&image, &[], &[]);
    let output = container.ssh(&["'/usr/bin/env'", "--", "env"]);
    assert!(text(&output.stdout).contains("USER=root\n"), "{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!((output.status.code(), container.ended()), (Some(0), 0));
}

#[test]
fn a_read_only_root_and_a_user_without_a_name() {
    if !is_there() {
        return;
    }
    let image = Root::new().init().busybox().image(&[
        r#"ENTRYPOINT ["/fargate-init"]"#,
        "WORKDIR /srv/app",
        "USER 1234:1234",
        "ENV PATH=/opt/bin:/bin",
    ]);
    let mut container = Container::run(&image, &["--read-only"], &[]);
    let output = container.ssh(&["id -u; pwd; echo $PATH; touch /x || exit 7"]);
    assert_eq!(text(&output.stdout), "1234\n/srv/app\n/opt/bin:/bin\n", "{}", text(&output.stderr));
    assert_eq!((output.status.code(), container.ended()), (Some(7), 7));
    assert!(container.has("environment_not_written") && !container.has("environment_written"));
}

#[test]
fn a_user_with_a_name_and_a_home() {
    if !is_there() {
        return;
    }
    let image = Root::new()
        .init()
        .busybox()
        .file("etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:1234:1234::/home/app:/sbin/nologin\n")
        .file("home/app/.keep", "")
        .image(&[r#"ENTRYPOINT ["/fargate-init"]"#, "USER app"]);
    let mut container = Container::run(&image, &[], &[]);
    let output = container.ssh(&["echo $(id -u) $USER $HOME $SHELL; pwd"]);
    assert_eq!(text(&output.stdout), "1234 app /home/app /bin/sh\n/home/app\n", "{}", text(&output.stderr));
    assert_eq!(container.ended(), 0);
}

#[test]
fn a_login_shell_starts_where_the_application_is() {
    if !is_there() {
        return;
    }
    let root = Root::new().init().busybox().file("root/.profile", "pwd; exit 3\n");
    let image = root.image(&[r#"ENTRYPOINT ["/fargate-init"]"#, "WORKDIR /srv/app", "ENV HOME=/root"]);
    let mut container = Container::run(&image, &[], &[]);
    let output = container.ssh(&[]);
    assert_eq!(text(&output.stdout), "/srv/app\n", "{}", text(&output.stderr));
    assert_eq!((output.status.code(), container.ended()), (Some(3), 3));
}
