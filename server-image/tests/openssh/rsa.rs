//! The ancestor's client: an RSA key, no check of the host, and nothing but the key in the environment.

use fargate_contract::grant;

use crate::container::{Container, text};

fn container() -> Container {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("rsa");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f"])
        .arg(&path)
        .status()
        .expect("ssh-keygen");
    assert!(made.success());
    let public = std::fs::read_to_string(path.with_extension("pub")).expect("a key");
    let container = Container::start(&[(grant::AUTHORIZED_PUBLIC_KEY, &public)]);
    std::fs::copy(&path, container.directory.path().join("rsa")).expect("a copy");
    container
}

#[test]
fn both_signatures_with_sha_2_log_in() {
    for algorithm in ["rsa-sha2-256", "rsa-sha2-512"] {
        let mut container = container();
        let accepted = format!("PubkeyAcceptedAlgorithms={algorithm}");
        let options = ["-o", &accepted, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"];
        let output = container.ssh_as("root", "rsa", &options, &["exit 3"]).output().expect("ssh");
        assert_eq!(output.status.code(), Some(3), "{algorithm}: {}", text(&output.stderr));
        assert_eq!(container.ended(), 3);
    }
}

#[test]
fn a_plain_ssh_logs_in_as_the_ancestor_does() {
    let mut container = container();
    let output = container.ssh_as("root", "rsa", &[], &["echo in"]).output().expect("ssh");
    assert_eq!(text(&output.stdout), "in\n", "{}", text(&output.stderr));
    assert_eq!(container.ended(), 0);
}

#[test]
fn sha_1_is_not_even_offered() {
    let container = container();
    let options = ["-o", "PubkeyAcceptedAlgorithms=ssh-rsa", "-o", "LogLevel=DEBUG1"];
    let output = container.ssh_as("root", "rsa", &options, &["true"]).output().expect("ssh");
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(255));
    assert!(told.contains("server-sig-algs=<ssh-ed25519,rsa-sha2-512,rsa-sha2-256>"), "{told}");
    assert!(told.contains("no mutual signature"), "{told}");
}

#[test]
fn the_host_key_stays_ed25519() {
    let container = container();
    let output = container.ssh_as("root", "rsa", &["-o", "LogLevel=DEBUG2"], &["true"]).output().expect("ssh");
    let told = text(&output.stderr);
    // The client's proposal comes first.
    let offers: Vec<_> = told.lines().filter_map(|line| line.strip_prefix("debug2: host key algorithms: ")).collect();
    assert_eq!(offers.get(1), Some(&"ssh-ed25519"), "{told}");
}
