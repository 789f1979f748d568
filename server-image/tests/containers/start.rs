//! How the init comes into an image that does not have it, and what else may stand around it.

use fargate_contract::{HostSeed, grant};

use crate::docker::{Container, Root, docker, is_there, some_name, text};

/// A volume of one test.
struct Volume(String);

impl Volume {
    fn new() -> Self {
        let name = some_name();
        assert!(docker(&["volume", "create", &name]).status.success());
        Self(name)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        docker(&["volume", "rm", "--force", &self.0]);
    }
}

#[test]
fn a_carrier_brings_it_through_a_volume() {
    if !is_there() {
        return;
    }
    let (carrier, volume) = (Root::new().init().image(&[r#"ENTRYPOINT ["/fargate-init"]"#]), Volume::new());
    let mount = format!("--volume={}:/fargate-login", volume.0);
    let installed = docker(&["run", "--rm", &mount, &carrier.0, "install", "/fargate-login"]);
    let told: serde_json::Value = serde_json::from_slice(&installed.stdout).expect("one line of JSON");
    assert_eq!((installed.status.code(), &told["path"]), (Some(0), &"/fargate-login/fargate-init".into()));
    // The words are the CMD of an image that nobody overrode.
    let app = Root::new().busybox().image(&[r#"CMD ["gunicorn", "app:app"]"#, "USER 1000"]);
    let mount = format!("{mount}:ro");
    let mut container =
        Container::run(&app, &[&mount, "--entrypoint=/fargate-login/fargate-init"], &["gunicorn", "app:app"]);
    assert_eq!(container.ssh(&["exit 6"]).status.code(), Some(6));
    assert_eq!(container.ended(), 6);
    assert!(container.has("words_ignored"));
}

#[test]
fn it_cannot_be_installed_on_a_read_only_root() {
    if !is_there() {
        return;
    }
    let carrier = Root::new().init().image(&[r#"ENTRYPOINT ["/fargate-init"]"#]);
    let installed = docker(&["run", "--rm", "--read-only", &carrier.0, "install", "/"]);
    let told: serde_json::Value = serde_json::from_slice(&installed.stdout).expect("one line of JSON");
    assert_eq!((installed.status.code(), &told["event"]), (Some(1), &"failed".into()));
    assert_eq!(told["error"], "the init cannot be installed in /: Read-only file system (os error 30)");
}

#[test]
fn it_cannot_be_installed_where_there_is_no_space() {
    if !is_there() {
        return;
    }
    let carrier = Root::new().init().image(&[r#"ENTRYPOINT ["/fargate-init"]"#]);
    let small = "--tmpfs=/small:size=64k";
    let installed = docker(&["run", "--rm", small, &carrier.0, "install", "/small"]);
    let told: serde_json::Value = serde_json::from_slice(&installed.stdout).expect("one line of JSON");
    assert_eq!(installed.status.code(), Some(1));
    assert_eq!(told["error"], "the init cannot be installed in /small: No space left on device (os error 28)");
}

#[test]
fn behind_an_entry_point_that_becomes_it_or_stays() {
    if !is_there() {
        return;
    }
    for (script, first) in [("export WRAPPED=1; exec \"$@\"", true), ("export WRAPPED=1; \"$@\"", false)] {
        let root = Root::new().init().busybox().file("entry", &format!("#!/bin/sh\n{script}\n"));
        let image = root.image(&[r#"ENTRYPOINT ["/entry"]"#, "ENV PATH=/bin"]);
        let mut container = Container::run(&image, &[], &["/fargate-init", "init"]);
        let output = container.ssh(&["env; cat /proc/1/cmdline; exit 9"]);
        let shown = text(&output.stdout);
        assert!(shown.contains("WRAPPED=1\n") && !shown.contains("_AUTHORIZED_PUBLIC_KEY"), "{shown}");
        assert_eq!(shown.contains("/bin/sh\0/entry"), !first, "{shown}");
        assert_eq!((output.status.code(), container.ended()), (Some(9), 9));
    }
}

#[test]
fn it_is_stopped_before_anybody_came() {
    if !is_there() {
        return;
    }
    let image = Root::new().init().image(&[r#"ENTRYPOINT ["/fargate-init"]"#]);
    let mut container = Container::run(&image, &[], &[]);
    container.stop();
    assert_eq!(container.ended(), 143);
    assert_eq!(container.events.last().expect("an event")["reason"], "told to stop by a signal");
}

#[test]
fn an_image_without_sshd_is_told_what_was_looked_for() {
    if !is_there() {
        return;
    }
    let image = Root::new().init().image(&[
        r#"ENTRYPOINT ["/fargate-init"]"#,
        "ENV FARGATE_INIT_ENGINE=openssh",
        "ENV PATH=/usr/bin:/opt/own/sbin",
    ]);
    let key = HostSeed::new([42; 32]).public_key().to_openssh().expect("a key");
    let key = format!("--env={}={}", grant::AUTHORIZED_PUBLIC_KEY, key.trim());
    let refused = docker(&["run", "--rm", &key, &image.0]);
    let told = text(&refused.stdout);
    assert_eq!(refused.status.code(), Some(2), "{told}{}", text(&refused.stderr));
    for wanted in ["\"refused\"", "has no sshd", "/usr/sbin/sshd", "/opt/own/sbin/sshd", "install openssh-server"] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
}
