//! The way without SSH: two programs that relay bytes as they are, with the same pipes and sockets as a client and a server of SSH have.
//! What the machine itself takes for a stream, so what no encryption can be faster than.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;

use super::server::{Host, PORT, address};

/// First arguments that make the benchmark's own program one of the two.
const SERVER_ROLE: &str = "__plain-server";
const CLIENT_ROLE: &str = "__plain-client";
/// What a client says that wants a command; the line follows.
const EXEC: &str = "exec ";
/// What a client says that wants a connection to a port beside the server; the number follows.
const FORWARD: &str = "forward ";
/// Bytes read or written at once: twice what a packet of SSH holds.
const BLOCK: usize = 64 * 1024;

/// What this process is, if its arguments make it one of the two programs. Ends with the program.
pub(crate) fn role() -> Option<io::Result<()>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [SERVER_ROLE, address] => Some(serve(address)),
        [CLIENT_ROLE, address, forward, line] => Some(visit(address, forward, line)),
        _ => None,
    }
}

/// The server, as long as this lives.
pub(crate) struct Server {
    process: Child,
    address: String,
}

impl Server {
    pub(crate) fn start(host: &Host) -> Self {
        let address = address(3);
        let mut command = host.command(program());
        let mut process =
            command.args([SERVER_ROLE, &address]).stdout(Stdio::piped()).spawn().expect("the server starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("text");
        assert!(!line.is_empty(), "the server listens");
        Self { process, address }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A client that forwards `LISTEN:TARGET`, if that is said, and runs this line, or else stays until it is told to end.
    pub(crate) fn client(&self, forward: &str, line: &str) -> Command {
        let mut command = Command::new(program());
        command.args([CLIENT_ROLE, &self.address, forward, line]);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> std::path::PathBuf {
    std::env::current_exe().expect("this program")
}

fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(format!("{address}:{PORT}"))?;
    writeln!(io::stdout(), "listening")?;
    for stream in listener.incoming() {
        let stream = stream?;
        // What fails is missed by the client, which counts.
        thread::spawn(move || answer(stream));
    }
    Ok(())
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let asked = line(&mut stream)?;
    if let Some(port) = asked.strip_prefix(FORWARD) {
        let target = TcpStream::connect((Ipv4Addr::LOCALHOST, port.parse().map_err(io::Error::other)?))?;
        return both(stream, target);
    }
    let line = asked.strip_prefix(EXEC).unwrap_or_default();
    let mut child = Command::new("/bin/sh");
    let mut child = child.arg("-c").arg(line).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (input, mut output) = (child.stdin.take(), child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
    let (mut from, mut to) = (stream.try_clone()?, stream);
    thread::spawn(move || input.map(|mut input| relay(&mut from, &mut input)));
    relay(&mut output, &mut to)?;
    child.wait()?;
    to.shutdown(Shutdown::Write)
}

fn visit(address: &str, forward: &str, line: &str) -> io::Result<()> {
    if let Some((listen, target)) = forward.split_once(':') {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, listen.parse().map_err(io::Error::other)?))?;
        writeln!(io::stdout(), "{}", listener.local_addr()?.port())?;
        let (address, words) = (address.to_owned(), format!("{FORWARD}{target}"));
        thread::spawn(move || {
            for local in listener.incoming().map_while(Result::ok) {
                local.set_nodelay(true)?;
                let remote = dial(&address, &words)?;
                thread::spawn(move || both(local, remote));
            }
            Ok::<_, io::Error>(())
        });
    }
    if line.is_empty() {
        // Until it is killed, or whoever started it has gone.
        return io::copy(&mut io::stdin().lock(), &mut io::sink()).map(drop);
    }
    let remote = dial(address, &format!("{EXEC}{line}"))?;
    let mut to = remote.try_clone()?;
    thread::spawn(move || {
        relay(&mut io::stdin().lock(), &mut to)?;
        to.shutdown(Shutdown::Write)
    });
    relay(&mut &remote, &mut Unbuffered)
}

/// A connection to the server, told what it is for.
fn dial(address: &str, words: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(format!("{address}:{PORT}"))?;
    stream.set_nodelay(true)?;
    stream.write_all(format!("{words}\n").as_bytes())?;
    Ok(stream)
}

/// Standard output without the library's buffer, which looks for line ends.
struct Unbuffered;

impl Write for Unbuffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        nix::unistd::write(io::stdout(), bytes).map_err(io::Error::from)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Both ways between two sockets, each with its end.
fn both(one: TcpStream, other: TcpStream) -> io::Result<()> {
    let (mut from, mut to) = (one.try_clone()?, other.try_clone()?);
    let there = thread::spawn(move || {
        relay(&mut from, &mut to)?;
        to.shutdown(Shutdown::Write)
    });
    relay(&mut &other, &mut &one)?;
    one.shutdown(Shutdown::Write)?;
    there.join().map_err(|_| io::Error::other("a relay"))?
}

fn relay(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        match from.read(&mut block)? {
            0 => return Ok(()),
            read => to.write_all(&block[..read])?,
        }
    }
}

/// The line with which a stream begins; nothing behind it is read.
fn line(stream: &mut TcpStream) -> io::Result<String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while stream.read(&mut byte)? > 0 && byte != *b"\n" {
        line.extend_from_slice(&byte);
    }
    String::from_utf8(line).map_err(io::Error::other)
}
