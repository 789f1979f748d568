//! Sessions on a bad network, encrypted ones, and those that somebody else ends.

use std::time::Duration;

use e2e::{Terminal, World};
use local_fargate::{Fault, Impairment};
use serde_json::json;

use super::account::{assert_alone, exec, one_task, one_task_in};

const KEY: &str = "alias/sessions";

fn impaired(change: impl FnOnce(&mut Impairment)) -> Fault {
    let mut impairment = Impairment::default();
    change(&mut impairment);
    Fault::Impaired(impairment)
}

fn cut_while_it_ends(world: &World) {
    let mut running = exec(world).args(["--", "sh", "-c", "echo on; read line; echo tail; exit 11"]).start();
    running.read_until("on\n");
    running.feed(b"go\n");
    world.stand_in().cut_sessions();
    let done = running.wait();
    assert_eq!((done.code, done.text().as_str()), (11, "tail\n"), "{}", done.stderr);
}

#[test]
fn a_connection_that_is_cut_as_the_command_ends_loses_neither_tail_nor_status() {
    let world = one_task();
    for _ in 0..5 {
        cut_while_it_ends(&world);
    }
    assert!(world.stand_in().sessions().iter().all(|session| session.is_over));
    assert!(world.calls().contains(&"ssm:ResumeSession".to_owned()));
    assert_alone(&world);
}

#[test]
fn a_network_that_loses_repeats_and_cuts_changes_nothing() {
    let world = one_task();
    world.stand_in().inject(impaired(|network| {
        network.lost_per_mille = 20;
        network.duplicated_per_mille = 50;
        network.reordered_per_mille = 50;
        network.cut_after = Some(Duration::from_secs(2));
    }));
    let input: Vec<u8> = (0..20_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let done = exec(&world).args(["--", "sh", "-c", "cat; echo end >&2; exit 21"]).run_with(&input);
    assert_eq!((done.code, done.stdout.len()), (21, input.len()), "{}", done.stderr);
    assert!(done.stdout == input && done.stderr.ends_with("end\n"), "{}", done.stderr);
}

#[test]
fn an_encrypted_session_is_like_any_other() {
    let world = one_task_in(|config| {
        config.keys = vec![KEY.to_owned()];
        config.session_key = Some(KEY.to_owned());
    });
    let done = exec(&world).args(["--", "sh", "-c", "cat; exit 8"]).run_with(b"through\n");
    assert_eq!((done.code, done.text().as_str()), (8, "through\n"), "{}", done.stderr);
    world.stand_in().inject(Fault::AccessDenied { action: "kms:GenerateDataKey".to_owned() });
    let done = exec(&world).args(["--", "true"]).run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    assert!(
        done.stderr.contains("no key for the session") && done.stderr.contains("allow `kms:GenerateDataKey` on"),
        "{}",
        done.stderr
    );
    world.wait_until(|world| world.stand_in().sessions().iter().all(|session| session.is_over));
}

#[test]
fn a_task_role_that_may_not_decrypt_is_told_from_a_caller_who_may_not() {
    let world = one_task_in(|config| {
        config.keys = vec![KEY.to_owned()];
        config.session_key = Some(KEY.to_owned());
    });
    world.stand_in().inject(Fault::AccessDenied { action: "kms:Decrypt".to_owned() });
    let mut terminal = Terminal::start(&exec(&world));
    assert_eq!(terminal.wait(), 255, "{}", terminal.screen());
    assert!(terminal.is_restored());
    let screen = terminal.screen().replace(['\r', '\n'], "");
    assert!(screen.contains("the agent cannot encrypt the session: Encountered error while initiating"), "{screen}");
    assert!(screen.contains("Error when decrypting data key AccessDeniedException"), "{screen}");
    assert!(screen.contains("allow the task role `kms:Decrypt`"), "{screen}");
}

#[test]
fn what_the_agent_does_to_bytes_that_are_no_text_is_known() {
    let world = one_task();
    // Bytes that are no UTF-8 arrive, at the end, too: markers stand behind it.
    let done = exec(&world).args(["--", "printf", r"\377\302a\357\277b\302"]).run();
    assert_eq!((done.code, done.stdout.as_slice()), (0, &b"\xff\xc2a\xef\xbfb\xc2"[..]), "{}", done.stderr);
    // U+FFFD is how the agent's own decoder says that there is none.
    let done = exec(&world).args(["--", "printf", r"a\357\277\275b"]).run();
    assert_eq!((done.code, done.stdout.as_slice()), (0, &b"a\xefb"[..]), "docs/EXEC.md says so: {}", done.stderr);
}

#[test]
fn who_ends_a_session_from_outside_is_told_and_the_terminal_is_restored() {
    let world = one_task();
    let mut terminal = Terminal::start(&exec(&world).args(["--shell", "/bin/sh"]));
    terminal.expect_prompt();
    let id = world.stand_in().sessions()[0].id.clone();
    world.call("ssm", "TerminateSession", &json!({"SessionId": id})).expect("ended");
    assert_eq!(terminal.wait(), 255, "{}", terminal.screen());
    assert!(terminal.is_restored());
    assert!(terminal.screen().contains("without the command's exit status"), "{}", terminal.screen());

    let world = one_task();
    world.stand_in().inject(impaired(|network| network.idle_close = Some(Duration::from_secs(3))));
    let mut terminal = Terminal::start(&exec(&world).args(["--shell", "/bin/sh"]));
    terminal.expect_prompt();
    assert_eq!(terminal.wait(), 255, "{}", terminal.screen());
    assert!(terminal.is_restored());
    assert!(terminal.screen().contains("nobody used it"), "{}", terminal.screen());
}

#[test]
fn a_task_that_stops_ends_the_command_without_a_status() {
    let world = one_task();
    let mut running = exec(&world).args(["--", "sh", "-c", "echo on; sleep 1000"]).start();
    running.read_until("on");
    let arn = world.task().arn;
    world.call("ecs", "StopTask", &json!({"task": arn})).expect("stopped");
    let done = running.wait();
    assert_eq!(done.code, 255, "{}", done.stderr);
    assert!(done.stderr.contains("without the command's exit status"), "{}", done.stderr);
}

#[test]
fn a_bare_command_has_no_status_and_a_program_that_is_not_there_is_told() {
    let world = one_task();
    let done = exec(&world).args(["--no-shell", "--", "sh", "-c", "echo 'a b'; exit 5"]).run();
    assert_eq!((done.code, done.text().as_str()), (0, "a b\n"), "{}", done.stderr);
    assert!(done.stderr.contains("exit status is not known"), "{}", done.stderr);
    let done = exec(&world).args(["--no-shell", "--", "/no/such/program"]).run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    assert!(done.stderr.contains("cannot start the command"), "{}", done.stderr);
}

#[test]
fn a_container_without_stty_has_output_all_the_same() {
    // The wrapper finds nothing on this path.
    let empty = tempfile::tempdir().expect("a folder");
    let path = empty.path().display().to_string();
    let world = one_task_in(|config| config.images.last_mut().expect("an image").env.push(("PATH".to_owned(), path)));
    let done = exec(&world).args(["--", "/bin/sh", "-c", "echo one; /bin/printf 'two\\r\\n'; exit 4"]).run();
    assert_eq!((done.code, done.text().as_str()), (4, "one\ntwo\r\n"), "{}", done.stderr);
    // The command stays until that is told.
    let told = empty.path().join("told");
    let line =
        format!("read line; status=$?; while [ ! -e {} ]; do /bin/sleep 0.05; done; exit $status", told.display());
    let mut running = exec(&world).args(["--", "/bin/sh", "-c", &line]).start();
    running.feed(b"unheard\n");
    running.hear("standard input does not reach the command");
    std::fs::write(&told, "").expect("written");
    let done = running.wait();
    assert_eq!(done.code, 1, "{}", done.stderr);
}
