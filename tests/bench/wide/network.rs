//! Two network namespaces of the benchmark's own, a round trip apart: clients are in the near one, servers in the far one.
//!
//! The kernel's `netem` makes the delay where there is one. Elsewhere two TUN interfaces do, with a relay between them. Either way both
//! ends are the kernel's own TCP, with segments of an Ethernet's size. The near end finds every address of loopback but its own
//! 127.0.0.0/16 at the far end, so that whoever gives a server such an address need not know.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns, unshare};

use super::super::server::Host;
use super::super::statistics::median;
use super::{relay, sys};

/// The interface's name at both ends.
const INTERFACE: &str = "wide0";
const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// Packets that `netem` may hold in one direction: its own thousand would be TCP's limit, not the SSH end's.
const NETEM_PACKETS: &str = "1000000";
/// Connections of which the median is the round trip.
const CONNECTIONS: usize = 5;

/// What the two stacks are set to, below /proc/sys/net/ipv4: the buffers are Linux's own defaults, whatever this machine has. Nothing is
/// lost on the line, so congestion control has only to open up: Reno does, is in every kernel, and any namespace may have it.
/// Earlier connections are not remembered.
const SETTINGS: [(&str, &str); 4] = [
    ("tcp_congestion_control", "reno"),
    ("tcp_rmem", "4096 131072 6291456"),
    ("tcp_wmem", "4096 16384 4194304"),
    ("tcp_no_metrics_save", "1"),
];

/// Two namespaces with a line between them. They go with this process.
pub(crate) struct Network {
    pub(crate) near: Namespace,
    pub(crate) far: Namespace,
    /// What makes the delay.
    pub(crate) line: &'static str,
}

impl Network {
    /// Makes both.
    ///
    /// # Errors
    /// No right to do so, no `ip`, or a kernel without namespaces or TUN.
    pub(crate) fn start(round_trip: Duration) -> io::Result<Self> {
        let (near, far) = (Namespace::new()?, Namespace::new()?);
        let line = if netem(&near, &far, round_trip / 2).is_ok() {
            "netem"
        } else {
            let [here, there] = [&near, &far].map(|end| end.within(|| sys::interface(INTERFACE)).map(Arc::new));
            let (here, there) = (here?, there?);
            relay::start(Arc::clone(&here), Arc::clone(&there), round_trip / 2);
            relay::start(there, here, round_trip / 2);
            "TUN"
        };
        near.connect(NEAR, FAR)?;
        far.connect(FAR, NEAR)?;
        near.ip("address del 127.0.0.1/8 dev lo")?;
        near.ip("address add 127.0.0.1/16 dev lo")?;
        near.ip(&format!("route add 127.0.0.0/8 via {FAR} dev {INTERFACE}"))?;
        Ok(Self { near, far, line })
    }

    /// How long a TCP connection takes to come about, in milliseconds: one round trip.
    pub(crate) fn round_trip(&self) -> f64 {
        let listener = self.far.within(|| TcpListener::bind((FAR, 0)).expect("a port"));
        let address = listener.local_addr().expect("bound");
        let mut times = [Duration::ZERO; CONNECTIONS];
        self.near.within(|| {
            for time in &mut times {
                let began = Instant::now();
                TcpStream::connect(address).expect("somebody listens");
                *time = began.elapsed();
            }
        });
        median(&mut times)
    }
}

/// A pair of interfaces, each of which delays what it sends.
fn netem(near: &Namespace, far: &Namespace, delay: Duration) -> io::Result<()> {
    near.ip(&format!("link add {INTERFACE} type veth peer name {INTERFACE} netns {}", far.path()))?;
    let (delay, interface) = (format!("{}us", delay.as_micros()), ["dev", INTERFACE]);
    let delayed = [near, far].into_iter().try_for_each(|end| {
        end.run(
            "tc",
            ["qdisc", "add"].into_iter().chain(interface).chain([
                "root",
                "netem",
                "delay",
                &delay,
                "limit",
                NETEM_PACKETS,
            ]),
        )
    });
    if delayed.is_err() {
        // Its peer goes with it.
        near.ip(&format!("link del {INTERFACE}"))?;
    }
    delayed
}

/// A network namespace.
pub(crate) struct Namespace {
    file: File,
}

impl Namespace {
    fn new() -> io::Result<Self> {
        // Only this thread leaves; the namespace lives as long as the file.
        let made = thread::spawn(|| -> io::Result<File> {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net")
        });
        Ok(Self { file: made.join().expect("it never panics")? })
    }

    /// Does something with sockets, threads and processes, all of which are then within.
    pub(crate) fn within<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        let entered = || {
            setns(&self.file, CloneFlags::CLONE_NEWNET).expect("who made a namespace may enter it");
            body()
        };
        match thread::scope(|scope| scope.spawn(entered).join()) {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Programs started there are within.
    pub(crate) fn host(&self) -> Host {
        Host::within(&self.path())
    }

    /// Where other processes find it.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// Sets the interface up, and the stack.
    fn connect(&self, own: Ipv4Addr, peer: Ipv4Addr) -> io::Result<()> {
        self.ip("link set lo up")?;
        self.ip(&format!("address add {own} peer {peer} dev {INTERFACE}"))?;
        // Packets wait there while the relay has no processor.
        self.ip(&format!("link set {INTERFACE} up txqueuelen 10000"))?;
        self.within(|| {
            let routed = format!("conf/{INTERFACE}/route_localnet");
            let mut settings = SETTINGS.into_iter().chain([(routed.as_str(), "1")]);
            settings.try_for_each(|(name, value)| fs::write(format!("/proc/sys/net/ipv4/{name}"), value))
        })
    }

    fn ip(&self, line: &str) -> io::Result<()> {
        self.run("ip", line.split(' '))
    }

    fn run<'a>(&self, program: &str, args: impl Iterator<Item = &'a str>) -> io::Result<()> {
        let mut command = self.host().command(program);
        // What cannot be done is told by the status; what `tc` says of a missing `netem` is no news.
        let ended = command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        if ended.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {ended}"))) }
    }
}
