//! The container images beside the usual way, an `sshd` on Debian that makes its host keys when it starts: what has to be pulled,
//! how soon it answers, how much memory it holds while nobody is there.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::statistics::{Figure, median};

const RUNS: usize = 10;
/// Longer than any container here takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Nothing tells from outside that a container's server listens, so it is asked this often.
const KNOCK: Duration = Duration::from_millis(1);
/// Any valid key: nobody logs in.
const GRANT: &str =
    "_AUTHORIZED_PUBLIC_KEY=ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";
const USUAL: &str = "sshd on Debian";

/// One image as it is started for a login.
struct Candidate {
    image: &'static str,
    size: &'static str,
    start: &'static str,
    memory: &'static str,
    /// In place of the image's own.
    entry_point: Option<&'static str>,
    command: &'static [&'static str],
}

const PEER: Candidate = Candidate {
    image: "fargate-login/ancestor:dev",
    size: "",
    start: "",
    memory: "",
    entry_point: Some("/bin/sh"),
    command: &["-c", "ssh-keygen -A && exec /usr/sbin/sshd -D"],
};

const OURS: [Candidate; 4] = [
    Candidate {
        image: "fargate-login/plain:dev",
        size: "image plain: compressed",
        start: "image plain: docker run to identification",
        memory: "image plain: memory, idle",
        entry_point: None,
        command: &[],
    },
    Candidate {
        image: "fargate-login/tools:dev",
        size: "image tools: compressed",
        start: "image tools: docker run to identification",
        memory: "image tools: memory, idle",
        entry_point: None,
        command: &[],
    },
    Candidate {
        image: "fargate-login/app-example:dev",
        size: "image app-example: compressed",
        start: "image app-example: docker run to identification",
        memory: "image app-example: memory, idle",
        entry_point: Some("/fargate-init"),
        command: &[],
    },
    Candidate {
        image: "fargate-login/openssh:dev",
        size: "image openssh: compressed",
        start: "image openssh: docker run to identification",
        memory: "image openssh: memory, idle",
        entry_point: None,
        command: &[],
    },
];

/// Measures the images that `server-image/build-image` made; says so where Docker or an image is missing.
pub(crate) fn images() -> Vec<Figure> {
    let Some(peer) = measure(&PEER) else { return Vec::new() };
    let mut figures = Vec::new();
    for candidate in &OURS {
        if let Some(ours) = measure(candidate) {
            figures.push(Figure::new(candidate.size, ours.megabytes, "MB").against(USUAL, peer.megabytes));
            figures.push(Figure::new(candidate.start, ours.start, "ms").against(USUAL, peer.start));
            figures.push(Figure::new(candidate.memory, ours.memory, "MiB").against(USUAL, peer.memory));
        }
    }
    figures
}

/// What one image costs.
struct Measured {
    megabytes: f64,
    start: f64,
    memory: f64,
}

fn measure(candidate: &Candidate) -> Option<Measured> {
    if docker(&["image", "inspect", candidate.image]).is_none() {
        println!(
            "note: {} is not measured: Docker or the image is missing (server-image/build-image)",
            candidate.image
        );
        return None;
    }
    let mut starts = Vec::new();
    let mut memory = 0.0;
    for run in 1..=RUNS {
        let began = Instant::now();
        let container = Container::run(candidate)?;
        container.await_identification(began + PATIENCE)?;
        starts.push(began.elapsed());
        if run == RUNS {
            // Docker takes seconds for this: our one connection is over by then.
            memory = container.mebibytes()?;
        }
    }
    Some(Measured { megabytes: compressed_megabytes(candidate.image)?, start: median(&mut starts), memory })
}

/// A container that is removed with this value.
struct Container {
    id: String,
}

impl Container {
    fn run(candidate: &Candidate) -> Option<Self> {
        let mut arguments = vec!["run", "--detach", "--env", GRANT];
        if let Some(program) = candidate.entry_point {
            arguments.extend(["--entrypoint", program]);
        }
        arguments.push(candidate.image);
        arguments.extend(candidate.command);
        Some(Self { id: docker(&arguments)? })
    }

    /// Returns once the server has said who it is.
    fn await_identification(&self, deadline: Instant) -> Option<()> {
        let address =
            docker(&["inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", &self.id])?;
        let address = SocketAddr::new(address.parse().ok()?, 22);
        while Instant::now() < deadline {
            let mut greeting = [0; 4];
            let greeted = TcpStream::connect_timeout(&address, PATIENCE).and_then(|mut stream| {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.read_exact(&mut greeting)
            });
            if greeted.is_ok() && greeting == *b"SSH-" {
                return Some(());
            }
            std::thread::sleep(KNOCK);
        }
        None
    }

    /// What Docker counts as used: the control group's memory without the page cache that can be dropped.
    fn mebibytes(&self) -> Option<f64> {
        let told = docker(&["stats", "--no-stream", "--format", "{{.MemUsage}}", &self.id])?;
        let used = told.split_whitespace().next()?;
        let units = [("GiB", 1024.0), ("MiB", 1.0), ("KiB", 1.0 / 1024.0), ("B", 1.0 / 1024.0 / 1024.0)];
        units.iter().find_map(|(unit, factor)| Some(used.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", "--volumes", &self.id]);
    }
}

/// All layers of an image as `gzip -9` makes them, the base's included: Fargate keeps none from one task to the next.
fn compressed_megabytes(image: &str) -> Option<f64> {
    let mut save = Command::new("docker").args(["save", image]).stdout(Stdio::piped()).spawn().ok()?;
    let mut gzip = Command::new("gzip").arg("-9").stdin(save.stdout.take()?).stdout(Stdio::piped()).spawn().ok()?;
    let bytes = std::io::copy(&mut gzip.stdout.take()?, &mut std::io::sink()).ok()?;
    let ended = save.wait().ok()?.success() && gzip.wait().ok()?.success();
    #[expect(clippy::cast_precision_loss, reason = "megabytes")]
    ended.then_some(bytes as f64 / 1e6)
}

/// What a docker command printed; nothing when it failed, which it has told then.
fn docker(arguments: &[&str]) -> Option<String> {
    let output = Command::new("docker").args(arguments).stdin(Stdio::null()).output().ok()?;
    if !output.status.success() {
        let _ = std::io::stderr().write_all(&output.stderr);
        return None;
    }
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
