//! Editors that work on a host: a script on a shell's standard input starts a server there, whose connections go through the proxy of
//! `ssh -D`. This is what Visual Studio Code's Remote-SSH does (its log in microsoft/vscode-remote-release#10916 shows it step by
//! step; #9246 and #9650 show the server copied with scp).

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use e2e::program::Running;
use e2e::world::PATIENCE;
use e2e::{SshHost, World};
use nix::sys::signal::Signal;

use super::{GOES, STAYS};
use crate::conformance::python;

/// Frames of one connection: what editors send is mostly small, and now and then a file.
const FRAMES: [usize; 8] = [1, 70, 3000, 16, 900_000, 5, 0, 40_000];

/// A window of the editor: its ssh, with a shell that waits for more, and the SOCKS proxy in it.
struct Window {
    ssh: Running,
    socks: u16,
    /// Of the server, in the task.
    port: u16,
}

/// Where the server is installed, and Python to run it with.
struct Editor {
    folder: PathBuf,
    python: String,
}

impl Editor {
    fn of(host: &SshHost) -> Option<Self> {
        let python = python("asyncio")?.get_program().to_string_lossy().into_owned();
        // The task is a process of this machine.
        Some(Self { folder: host.place().join("editor's server"), python })
    }

    /// Looks for a server that runs; without one waits for its program and starts it, out of reach of the shell's end.
    fn script(&self) -> String {
        let (folder, python) = (self.folder.display(), &self.python);
        format!(
            r#"folder="{folder}"
            mkdir -p "$folder"
            uname -rsv
            if kill -0 "$(cat "$folder/pid" 2>&1)" 2>&1; then
                echo found
            else
                echo trigger_server_download
                until test -f "$folder/done"; do sleep 0.1; done
                nohup {python} "$folder/editor_server.py" "$folder/socket" >"$folder/log" 2>&1 </dev/null &
                echo $! >"$folder/pid"
                until grep -q listening "$folder/log"; do sleep 0.1; done
            fi
            echo "listeningOn==127.0.0.1:$(sed -n 's/^listening //p' "$folder/log")=="
            "#
        )
    }

    /// Opens a window with the script on the standard input of a shell, or of the user's own for no word.
    fn open(&self, host: &SshHost, shell: &[&str]) -> Window {
        let socks = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let ssh = host.ssh().args(["-T", "-D", &socks.to_string(), "-o", "ConnectTimeout=60", e2e::ssh_host::NAME]);
        let mut ssh = ssh.args(shell.iter().copied()).start();
        ssh.feed(self.script().as_bytes());
        ssh.read_until("Linux");
        Window { ssh, socks, port: 0 }
    }

    /// A window whose server is there.
    fn window(&self, host: &SshHost, shell: &[&str]) -> Window {
        let mut window = self.open(host, shell);
        window.ssh.read_until("found");
        window.listens();
        window
    }

    /// The first window, while whose script waits, the server is copied.
    fn first_window(&self, host: &SshHost, shell: &[&str]) -> Window {
        let mut window = self.open(host, shell);
        window.ssh.read_until("trigger_server_download");
        let done = host.place().join("done");
        std::fs::write(&done, "").expect("written");
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/ssh_clients/editor_server.py");
        let scp = host.tool("scp").expect("beside ssh").arg("-F").arg(host.config().as_os_str());
        let scp = scp.args(["-o", "ConnectTimeout=60"]).arg(program).arg(done);
        let copied = scp.arg(format!("{}:{}", e2e::ssh_host::NAME, self.folder.display())).run();
        assert_eq!(copied.code, 0, "{}", copied.stderr);
        window.listens();
        window
    }
}

impl Window {
    fn listens(&mut self) {
        let line = self.ssh.read_line_with("listeningOn==127.0.0.1:");
        let port = line.trim().trim_end_matches('=').rsplit(':').next().and_then(|port| port.parse().ok());
        self.port = port.expect(&line);
    }

    /// A connection to the server through this window's proxy (RFC 1928).
    fn connect(&self) -> TcpStream {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.socks)).expect("ssh listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let [high, low] = self.port.to_be_bytes();
        for (said, answered) in [(&[5, 1, 0][..], &[5, 0][..]), (&[5, 1, 0, 1, 127, 0, 0, 1, high, low], &[5, 0, 0, 1])]
        {
            stream.write_all(said).expect("written");
            let mut answer = vec![0; answered.len()];
            stream.read_exact(&mut answer).expect("an answer");
            assert_eq!(answer, answered);
        }
        // The address of the proxy's own end.
        stream.read_exact(&mut [0; 6]).expect("the rest of it");
        upgrade(&mut stream);
        stream
    }

    /// Eight connections at once, each with its frames.
    fn is_worked_in(&self) {
        let streams: Vec<_> = (0..8).map(|_| self.connect()).collect();
        std::thread::scope(|scope| {
            for (number, mut stream) in streams.into_iter().enumerate() {
                scope.spawn(move || FRAMES.iter().for_each(|length| frame(&mut stream, *length, number)));
            }
        });
    }

    /// Ends ssh as an editor does, whatever is open.
    fn close(self) {
        self.ssh.signal(Signal::SIGTERM);
        assert_eq!(self.ssh.wait().code, 255);
    }
}

fn upgrade(stream: &mut (impl Read + Write)) {
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .expect("written");
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("an answer");
        answer.extend(byte);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
}

/// A frame there, and its answer back: whole, and of this connection.
fn frame(stream: &mut (impl Read + Write), length: usize, number: usize) {
    let mut frame: Vec<u8> = (0..length).map(|index| ((index * 7 + number * 31) % 251) as u8).collect();
    let head = u32::try_from(length).expect("a small frame").to_be_bytes();
    stream.write_all(&[&head[..], &frame].concat()).expect("written");
    let mut answer = vec![0; head.len() + length];
    stream.read_exact(&mut answer).expect("an answer");
    frame.reverse();
    assert!(answer[..4] == head && answer[4..] == frame, "{length} bytes of connection {number}");
}

#[test]
fn a_server_outlives_the_window_that_started_it_and_goes_with_the_last() {
    let host = SshHost::new(World::new(), &GOES);
    let Some(editor) = Editor::of(&host) else { return };
    let first = editor.first_window(&host, &["bash"]);
    first.is_worked_in();
    // Beside it, as an editor asks for the platform.
    let probed = host.ssh().args(["-T", "-o", "ConnectTimeout=60", e2e::ssh_host::NAME, "uname", "-rsv"]).run();
    assert!(probed.code == 0 && probed.text().starts_with("Linux "), "{}{}", probed.text(), probed.stderr);
    // A shell that was not asked for by its name is the user's.
    let second = editor.window(&host, &[]);
    assert_eq!(second.port, first.port);
    let (mut of_first, mut of_second) = (first.connect(), second.connect());
    frame(&mut of_first, 1000, 1);
    frame(&mut of_second, 1000, 2);
    first.close();
    assert!(matches!(of_first.read(&mut [0]), Ok(0) | Err(_)), "its proxy is gone");
    frame(&mut of_second, 100_000, 3);
    second.is_worked_in();
    second.close();
    let task = host.world.stopped_task();
    assert_eq!(task.stop_code.as_deref(), Some("UserInitiated"));
    host.wait_tidy();
    // The server, too.
    host.world.wait_gone(&task.address.expect("an address"));
    assert_eq!(host.launches(), 1);
}

#[test]
fn a_window_that_is_opened_again_finds_its_server() {
    let host = SshHost::new(World::new(), &STAYS);
    let Some(editor) = Editor::of(&host) else { return };
    let first = editor.first_window(&host, &["sh"]);
    let port = first.port;
    first.is_worked_in();
    first.close();
    let again = editor.window(&host, &["bash"]);
    assert_eq!(again.port, port);
    again.is_worked_in();
    // The setting remoteServerListenOnSocket has the server on a socket.
    let here = host.place().join("here");
    let there = editor.folder.join("socket");
    let forward = format!("{}:{}", here.display(), there.display());
    let tunnel = host.ssh().args(["-N", "-L", &forward, e2e::ssh_host::NAME]).start();
    host.wait_until("ssh listens", |_| here.exists());
    let mut stream = UnixStream::connect(&here).expect("ssh listens");
    upgrade(&mut stream);
    FRAMES.iter().for_each(|length| frame(&mut stream, *length, 9));
    tunnel.signal(Signal::SIGTERM);
    // Without a session ssh calls that success.
    assert_eq!(tunnel.wait().code, 0);
    again.close();
    assert_eq!(host.launches(), 1);
}
