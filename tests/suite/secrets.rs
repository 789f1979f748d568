//! Where secrets are while a run lasts, and where they are not: environments, command lines and memory of its processes, the
//! container's log, the journal, what the client says, and files.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use e2e::World;
use fargate_contract::{HostSeed, grant};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The caller's credentials, which only the client's own environment and memory hold.
const CREDENTIAL: &str = "c0ffee/Secret/Access/Key/c0ffee/c0ffee/c0";

/// Longest readable region that is looked through, in bytes: the run's processes have none that is longer.
const REGION_MAX: u64 = 256 * 1024 * 1024;

/// One secret in the forms in which it could lie somewhere.
struct Secret {
    name: &'static str,
    forms: Vec<Vec<u8>>,
}

impl Secret {
    fn text(name: &'static str, text: &str) -> Self {
        Self { name, forms: vec![text.as_bytes().to_vec()] }
    }

    fn seed(name: &'static str, seed: &[u8; 32]) -> Self {
        let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
        let forms = vec![seed.to_vec(), hex.into_bytes(), STANDARD_NO_PAD.encode(seed).into_bytes()];
        Self { name, forms }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.forms.iter().any(|form| find(bytes, form).is_some())
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted[0];
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == first) {
        let start = from + at;
        if bytes[start..].starts_with(wanted) {
            return Some(start);
        }
        from = start + 1;
    }
    None
}

/// Names of those of the secrets that are in these bytes.
fn found(secrets: &[Secret], bytes: &[u8]) -> Vec<&'static str> {
    secrets.iter().filter(|secret| secret.is_in(bytes)).map(|secret| secret.name).collect()
}

/// All that a process has in writable memory; stack and heap are such.
fn memory(pid: i32) -> Vec<u8> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("the process lives");
    let mem = fs::File::open(format!("/proc/{pid}/mem")).expect("root may read it");
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw"))) {
        let (start, end) = line.split(' ').next().and_then(|range| range.split_once('-')).expect("a range");
        let number = |text: &str| u64::from_str_radix(text, 16).expect("an address");
        let (start, end) = (number(start), number(end));
        let mut region = vec![0; usize::try_from((end - start).min(REGION_MAX)).expect("it fits")];
        // Regions of devices cannot be read, and pages go while we look.
        let mut read = 0;
        while let Ok(some @ 1..) = mem.read_at(&mut region[read..], start + read as u64) {
            read += some;
        }
        all.extend_from_slice(&region[..read]);
    }
    all
}

/// The processes of a task, by the address in their environment: the init, `serve`, and all of the session.
fn processes_of(address: &str) -> Vec<i32> {
    let wanted = format!("LOCAL_FARGATE_ADDRESS={address}");
    let entries = fs::read_dir("/proc").expect("a process table").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_of = |pid: &i32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    pids.filter(is_of).collect()
}

/// The private half of the run's key, found in the client's memory beside its public half.
fn private_key(memory: &[u8], public: &[u8; 32]) -> Option<[u8; 32]> {
    let mut from = 0;
    while let Some(at) = find(&memory[from..], public) {
        let (near, place) = (64, from + at);
        let window = &memory[place.saturating_sub(near)..(place + 32 + near).min(memory.len())];
        for candidate in window.windows(32) {
            let candidate: [u8; 32] = candidate.try_into().expect("a window");
            if HostSeed::new(candidate).public_key().key_data().ed25519().is_some_and(|key| key.0 == *public) {
                return Some(candidate);
            }
        }
        from = place + 1;
    }
    None
}

fn files_below(directory: &Path, seen: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let kind = entry.file_type().expect("a file type");
        if kind.is_dir() {
            files_below(&entry.path(), seen);
        } else if kind.is_file() {
            seen.insert(entry.path());
        }
    }
}

/// The value of a variable of the override that was sent.
fn sent(world: &World, variable: &str) -> String {
    let calls = world.stand_in().journal();
    let run = calls.iter().find(|call| call.action == "RunTask").expect("a RunTask");
    let environment = run.request["overrides"]["containerOverrides"][0]["environment"].as_array().expect("variables");
    let found = environment.iter().find(|known| known["name"] == variable).expect("that variable");
    found["value"].as_str().expect("a text").to_owned()
}

#[test]
fn secrets_are_only_where_they_belong() {
    let world = World::new();
    let scratch = tempfile::tempdir().expect("a directory");
    let mut running = world
        .login()
        .env("AWS_SECRET_ACCESS_KEY", CREDENTIAL)
        .env("TMPDIR", scratch.path())
        .args(["-vvv", "--shell-command", "echo ready; cat"])
        .start();
    running.read_until("ready");
    let seed = sent(&world, grant::HOST_SEED);
    let raw: [u8; 32] = STANDARD_NO_PAD.decode(&seed).expect("base64").try_into().expect("32 bytes");
    let public = sent(&world, grant::AUTHORIZED_PUBLIC_KEY);
    let blob = STANDARD.decode(public.split(' ').nth(1).expect("a key")).expect("base64");
    let public: [u8; 32] = blob[blob.len() - 32..].try_into().expect("32 bytes");

    let client = running.pid().as_raw();
    let mut secrets = vec![Secret::seed("host seed", &raw), Secret::text("credential", CREDENTIAL)];
    let is_root = nix::unistd::geteuid().is_root();
    if is_root {
        let key = private_key(&memory(client), &public).expect("the client has the private key, where it belongs");
        secrets.push(Secret::seed("private key", &key));
    } else {
        let refused = fs::File::open(format!("/proc/{client}/mem")).expect_err("nobody looks into the client");
        assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
    }

    let cmdline = |pid: i32| fs::read(format!("/proc/{pid}/cmdline")).expect("the process lives");
    assert_eq!(found(&secrets, &cmdline(client)), [""; 0]);
    let processes = processes_of(&world.task().address.expect("an address"));
    assert!(processes.len() >= 3, "init, serve and a session: {processes:?}");
    let mut serving = 0;
    for pid in processes {
        let environ = fs::read(format!("/proc/{pid}/environ")).expect("the process lives");
        let role = cmdline(pid);
        assert_eq!(found(&secrets, &[environ, role.clone()].concat()), [""; 0], "{}", String::from_utf8_lossy(&role));
        if is_root {
            // The server shows that what is looked for can be found.
            let expected: &[&str] = if find(&role, b"role:serve").is_some() { &["host seed"] } else { &[] };
            serving += expected.len();
            assert_eq!(found(&secrets, &memory(pid)), expected, "{}", String::from_utf8_lossy(&role));
        }
    }
    assert_eq!(serving, usize::from(is_root));

    let done = running.wait();
    assert_eq!(done.code, 0, "{}", done.stderr);
    let task = world.stopped_task();
    assert!(done.stderr.contains("fargate_login::login"), "-vvv says more: {}", done.stderr);
    assert_eq!(found(&secrets, done.stderr.as_bytes()), [""; 0]);
    let log = world.stand_in().log(&task.arn, "cli").join("\n");
    assert!(log.contains("session_end"), "{log}");
    assert_eq!(found(&secrets, log.as_bytes()), [""; 0]);
    for call in world.stand_in().journal() {
        // By design: readers of the override see the seed of the one-time host key, and there it is.
        let expected: &[&str] = if call.action == "RunTask" { &["host seed"] } else { &[] };
        assert_eq!(found(&secrets, call.request.to_string().as_bytes()), expected, "{}", call.action);
    }
    let mut files = BTreeSet::new();
    for directory in [world.home(), scratch.path()] {
        files_below(directory, &mut files);
    }
    for file in files {
        assert_eq!(found(&secrets, &fs::read(&file).expect("a file")), [""; 0], "{}", file.display());
    }
}

/// Runs a program that may write cores of any size, as far as it is asked.
fn with_cores(program: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""]).arg(program).env_clear();
    command
}

#[test]
fn a_client_that_crashes_writes_no_core() {
    let world = World::new();
    let directory = tempfile::tempdir().expect("a directory");
    let login = world.login().args(["--login-timeout", "2s", "--", "true"]);
    let (program, arguments, environment) = login.parts();
    let mut command = with_cores(program);
    command.args(arguments).envs(environment.iter().cloned()).env("FARGATE_LOGIN_CHECKPOINT", "after-run-task");
    let mut child = command.current_dir(directory.path()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("checkpoint: ") {
        line.clear();
        assert!(stderr.read_line(&mut line).expect("text") > 0, "it ended before the checkpoint");
    }
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).expect("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    // Not dumpable: the kernel gives its files to root, and cores to nobody, whatever handler this machine has for them.
    assert_eq!(fs::metadata(format!("/proc/{}/environ", child.id())).expect("it lives").uid(), 0);
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGABRT).expect("it lives");
    let status = child.wait().expect("an end");
    assert_eq!((status.signal(), status.core_dumped()), (Some(Signal::SIGABRT as i32), false));
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 0);
    let _ = world.stopped_task();
}
