//! The network goes: a session with a terminal goes on when it comes back in time; otherwise the client notices within its
//! keepalive bound, and the init ends by its own rule.

use e2e::{Terminal, World, docker};

use super::world;

/// A session whose client notices within two seconds that nobody answers.
const QUICK: [&str; 4] = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2"];

/// A session in a container, and the container that holds its network.
struct Visit {
    terminal: Terminal,
    holder: String,
}

impl Visit {
    /// `None` without the image.
    fn start(world: &World, options: &[&str]) -> Option<Self> {
        if !docker::has(e2e::world::IMAGE) {
            return None;
        }
        let login = world.program().args(["-n", "test-cli", "-sg", "sg-1", "-sn", "subnet-1"]);
        let mut terminal = Terminal::start(&login.args(options.iter().copied()));
        // The image's user is not root.
        terminal.expect("$ ");
        assert!(terminal.is_raw());
        let id = world.task().arn.rsplit('/').next().expect("an id").to_owned();
        let of_task = format!("label=local-fargate.task={id}");
        let all = docker::lines(&["ps", "--quiet", "--filter", &of_task]);
        let named =
            docker::lines(&["ps", "--quiet", "--filter", &of_task, "--filter", "label=local-fargate.container"]);
        // The container that holds the network is the one that no task definition knows.
        let holder = all.iter().find(|known| !named.contains(known)).expect("a holder").clone();
        Some(Self { terminal, holder })
    }

    /// Takes the network away or gives it back. The address stays: what is sent meanwhile goes nowhere and says nothing.
    fn set_link(&self, state: &str) {
        let network = format!("container:{}", self.holder);
        let link = ["ip", "link", "set", "eth0", state];
        let run = ["run", "--rm", "--cap-add", "NET_ADMIN", "--network", &network, docker::BUSYBOX];
        let _ = docker::lines(&[&run[..], &link[..]].concat());
    }

    /// Waits for the client's end with 255, the terminal given back.
    fn fails(mut self) -> Terminal {
        assert_eq!(self.terminal.wait(), 255, "{}", self.terminal.screen());
        assert!(self.terminal.is_restored());
        self.terminal
    }
}

#[test]
fn a_session_goes_on_when_the_network_comes_back() {
    let Some(world) = world() else { return };
    let Some(mut visit) = Visit::start(&world, &QUICK) else { return };
    visit.terminal.send("kept=\"the same\"; echo she\"ll\" $$.\r");
    visit.terminal.expect("shell ");
    visit.terminal.expect(".");
    let shown = visit.terminal.screen();
    let pid =
        shown.rsplit("shell ").find_map(|rest| rest.split('.').next()?.parse::<u32>().ok()).expect("a process id");
    visit.set_link("down");
    visit.terminal.expect("connection lost; reconnecting...");
    assert!(visit.terminal.is_raw());
    visit.terminal.send("echo \"<$kept>\" in $$.; exit 6\r");
    visit.set_link("up");
    visit.terminal.expect("resumed after ");
    visit.terminal.expect(&format!("<the same> in {pid}."));
    assert_eq!(visit.terminal.wait(), 6, "{}", visit.terminal.screen());
    assert!(visit.terminal.is_restored());
    let task = world.stopped_task();
    let log = world.stand_in().log(&task.arn, "cli");
    assert!(log.iter().any(|line| line.contains("session_resumed")), "{log:?}");
}

#[test]
fn when_the_grace_is_over_the_client_gives_up_and_stops_the_task() {
    let Some(world) = world() else { return };
    let Some(visit) = Visit::start(&world, &[&QUICK[..], &["--reconnect-grace", "3s"]].concat()) else { return };
    visit.set_link("down");
    let terminal = visit.fails();
    assert!(terminal.screen().contains("no way back to the session within 3 s"), "{}", terminal.screen());
    assert!(terminal.screen().contains("--reconnect-grace"), "the hint: {}", terminal.screen());
    let exit = world.stopped_task().exit_codes;
    assert!(matches!(exit.as_slice(), [(_, Some(code))] if *code != 0), "{exit:?}");
}

#[test]
fn without_a_grace_the_client_notices_and_stops_the_task() {
    let Some(world) = world() else { return };
    let Some(visit) = Visit::start(&world, &[&QUICK[..], &["--reconnect-grace", "0"]].concat()) else { return };
    visit.set_link("down");
    let terminal = visit.fails();
    assert!(terminal.screen().contains("no longer answers"), "{}", terminal.screen());
    // Told to stop: its session, which nobody can reach any more, is ended with it.
    let exit = world.stopped_task().exit_codes;
    assert!(matches!(exit.as_slice(), [(_, Some(code))] if *code != 0), "{exit:?}");
    assert_eq!(world.task().stop_code.as_deref(), Some("UserInitiated"));
}

#[test]
fn the_init_ends_by_its_own_rule_and_the_client_stops_waiting() {
    let Some(world) = world() else { return };
    let Some(visit) = Visit::start(&world, &[&QUICK[..], &["--idle-timeout", "8s"]].concat()) else { return };
    visit.set_link("down");
    // Long before the grace is over: the client asks ECS.
    let terminal = visit.fails();
    assert!(terminal.screen().contains("exit code 122"), "{}", terminal.screen());
    // Nobody told it: nothing was typed for as long as the grant allows.
    assert_eq!(world.stopped_task().exit_codes, [("cli".to_owned(), Some(122))]);
    assert_eq!(world.task().stop_code.as_deref(), Some("EssentialContainerExited"));
}
