"""Builds the container images and uses each as its users do: started by Docker, logged into with `ssh` and a one-time key.

Arguments: `--init FILE` takes a static init that is built already, `--base NAME|local` is for server-image/build-image, and
`--elsewhere` also builds the init in a second checkout at another path and compares the bytes (minutes). The images stay, as
fargate-login/{plain,tools,app-example,openssh,ancestor}:dev."""

import argparse
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
OURS = ["plain", "tools", "app-example", "openssh"]
IMAGES = [*OURS, "ancestor"]
LARGEST_PLAIN = 6_000_000
START_TIMEOUT = 30.0
SESSION_TIMEOUT = 60.0
# By this label the check finds its own containers, and only those.
LABEL = f"io.github.fargate-login.check={os.getpid()}"
ANNOTATIONS = ["title", "description", "version", "revision", "source", "licenses", "created", "base.name"]
# The date of a commit long ago.
ANOTHER_COMMIT = "1000000000"
# The status that the session ends with; nothing else would give it.
STATUS = 7
TOOLS = [
    "psql --version", "mysql --version", "mariadb --version", "redis-cli --version", "curl --version", "dig -v", "jq --version",
    "less --version", "vi --version", "tmux -V", "git --version", "python3 --version", "aws --version",
]


class Checks:
    """Counts what held and what did not."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    def that(self, what: str, holds: bool, told: object = "") -> None:
        """One line for one check; `told` is what was seen."""
        self.passed += holds
        self.failed += not holds
        print(f"{'pass' if holds else 'FAIL'}  {what}{f': {told}' if told != '' else ''}", flush=True)


def output(*line: object, **more) -> str:
    """Standard output of a command that has to succeed."""
    run = subprocess.run([str(word) for word in line], capture_output=True, text=True, **more)
    if run.returncode != 0:
        raise SystemExit(f"{line} ended with {run.returncode}:\n{run.stdout[-2000:]}{run.stderr[-4000:]}")
    return run.stdout.strip()


def name(image: str) -> str:
    """What build-image calls it on this machine."""
    return f"fargate-login/{image}:dev"


def inspect(what: str) -> dict:
    """What Docker knows of an image or a container."""
    return json.loads(output("docker", "inspect", what))[0]


def build(image: str, options: list[str], **environment: str) -> None:
    """Builds one image, and tells how long it took."""
    began = time.monotonic()
    output("sh", ROOT / "server-image/build-image", image, *options, env=os.environ | environment)
    print(f"built {name(image)} in {time.monotonic() - began:.0f} s", flush=True)


def build_all(checks: Checks, init: pathlib.Path, base: list[str], scratch: pathlib.Path) -> None:
    """Builds every image; the plain one twice, from an init at another path, of another date and mode.

    The first build may take what the cache has, as after a commit that left the init alone; the second starts from nothing."""
    build("plain", ["--init", str(init), *base])
    first = inspect(name("plain"))
    again = scratch / "another-name"
    shutil.copyfile(init, again)
    again.chmod(0o777)
    build("plain", ["--init", str(again), *base], DOCKER_BUILD_FLAGS="--no-cache", SOURCE_DATE_EPOCH=ANOTHER_COMMIT)
    second = inspect(name("plain"))
    layers = [first["RootFS"]["Layers"][-1], second["RootFS"]["Layers"][-1]]
    checks.that("the init's layer is the same in two builds", layers[0] == layers[1], layers[0] if layers[0] == layers[1] else layers)
    for image in IMAGES[1:]:
        build(image, base)


def remove_stages() -> None:
    """Removes what the classic builder keeps of the plain image's first stage; nothing else has that label and no name."""
    stages = output(
        "docker", "images", "--quiet", "--filter", "dangling=true", "--filter", "label=io.github.fargate-login.stage=parts"
    )
    for stage in set(stages.split()):
        subprocess.run(["docker", "rmi", stage], capture_output=True, check=False)


class Container:
    """One container of an image, for one key, and gone afterwards."""

    def __init__(self, image: str, scratch: pathlib.Path, *options: str, kind: tuple[str, ...] = ("ed25519",)) -> None:
        self.image = image
        self.scratch = pathlib.Path(tempfile.mkdtemp(dir=scratch))
        self.key = self.scratch / "key"
        output("ssh-keygen", "-q", "-t", *kind, "-N", "", "-C", "", "-f", self.key)
        public = self.key.with_suffix(".pub").read_text().strip()
        self.id = output(
            "docker", "run", "--detach", "--label", LABEL, "--env", f"_AUTHORIZED_PUBLIC_KEY={public}",
            "--env", "CHECK_VALUE=two  words", *options, name(image),
        )

    def __enter__(self) -> "Container":
        return self

    def __exit__(self, *_: object) -> None:
        output("docker", "rm", "--force", self.id)

    def address(self) -> str:
        """On Docker's bridge; empty once it has ended."""
        networks = inspect(self.id)["NetworkSettings"]["Networks"]
        return next(iter(networks.values()))["IPAddress"]

    def identification(self) -> bytes:
        """The first bytes of whoever listens on port 22, once somebody does."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and (address := self.address()):
            try:
                with socket.create_connection((address, 22), timeout=1.0) as connection:
                    return connection.recv(255).split(b"\r\n")[0]
            except OSError:
                time.sleep(0.05)
        return b""

    def logs(self) -> str:
        """Both streams of PID 1."""
        run = subprocess.run(["docker", "logs", self.id], capture_output=True, text=True, check=True)
        return run.stdout + run.stderr

    def host_key(self) -> str | None:
        """The key that the init says it has; nothing for an sshd of the image's own."""
        for line in self.logs().splitlines():
            if line.startswith("{") and (event := json.loads(line)).get("event") == "listen":
                return event["host_key"]
        return None

    def ssh(self, command: str, *, verify: bool = True) -> subprocess.CompletedProcess:
        """Logs in as root@address; the host key is verified where it is known, unless nobody is to look."""
        known = self.scratch / "known_hosts"
        key = self.host_key() if verify else None
        known.write_text(f"{self.address()} {key}\n" if key else "")
        return subprocess.run(
            [
                "ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes",
                "-o", f"UserKnownHostsFile={known}", "-o", f"StrictHostKeyChecking={'yes' if key else 'no'}",
                "-i", str(self.key), f"root@{self.address()}", command,
            ],
            capture_output=True, text=True, timeout=SESSION_TIMEOUT, stdin=subprocess.DEVNULL, check=False,
        )

    def status(self) -> int:
        """The container's exit code, once it has ended."""
        return int(output("docker", "wait", self.id, timeout=SESSION_TIMEOUT))


def check_contents(checks: Checks, image: str, scratch: pathlib.Path) -> None:
    """What the image is, before it runs."""
    described = inspect(name(image))
    labels = described["Config"]["Labels"] or {}
    absent = [label for label in ANNOTATIONS if not labels.get(f"org.opencontainers.image.{label}")]
    checks.that(f"{image}: labels", not absent, f"absent: {absent}" if absent else labels["org.opencontainers.image.created"])
    if image in OURS:
        static, layer = init_of(image, scratch)
        checks.that(f"{image}: the init is static", static)
        plain = inspect(name("plain"))["RootFS"]["Layers"][-1]
        checks.that(f"{image}: holds the plain image's init layer", layer == plain, layer)
    if image == "openssh":
        check_no_host_keys(checks, image)


def check_no_host_keys(checks: Checks, image: str) -> None:
    """A host key in an image would be everybody's."""
    found = output("docker", "run", "--rm", "--label", LABEL, "--entrypoint", "/bin/sh", name(image), "-c", "ls /etc/ssh")
    checks.that(f"{image}: holds no host key", "ssh_host" not in found, found.replace("\n", " "))


def init_of(image: str, scratch: pathlib.Path) -> tuple[bool, str]:
    """Whether the image's init is static, and the digest of the layer that holds it and nothing else."""
    archive = scratch / "image.tar"
    output("docker", "save", "--output", archive, name(image))
    static, digest = False, ""
    with tarfile.open(archive) as saved:
        manifest = json.load(saved.extractfile("manifest.json"))[0]
        digests = json.load(saved.extractfile(manifest["Config"]))["rootfs"]["diff_ids"]
        for path, candidate in zip(manifest["Layers"], digests, strict=True):
            with tarfile.open(fileobj=saved.extractfile(path)) as layer:
                if layer.getnames() == ["fargate-init"]:
                    init = scratch / "init"
                    init.write_bytes(layer.extractfile("fargate-init").read())
                    static = "INTERP" not in output("readelf", "--wide", "--program-headers", init)
                    digest = candidate
    archive.unlink()
    return static, digest


def compressed(image: str) -> int:
    """Bytes of `docker save IMAGE | gzip -9`: what a machine that has none of its layers pulls."""
    squeeze, size = zlib.compressobj(9), 0
    with subprocess.Popen(["docker", "save", name(image)], stdout=subprocess.PIPE) as save:
        while block := save.stdout.read(1 << 20):
            size += len(squeeze.compress(block))
    return size + len(squeeze.flush())


def check_login(checks: Checks, image: str, scratch: pathlib.Path) -> None:
    """A container of the image answers, lets the key in, runs a command in its environment, and ends with its status."""
    options = ["--entrypoint", "/fargate-init"] if image == "app-example" else []
    with Container(image, scratch, *options) as container:
        greeting = container.identification()
        server = b"SSH-2.0-OpenSSH" if image in ("openssh", "ancestor") else b"SSH-2.0-fargate-init"
        checks.that(f"{image}: identification string", greeting.startswith(server), greeting or container.logs()[-1500:])
        if not greeting:
            return
        session = container.ssh(f'id -u; echo "$CHECK_VALUE"; exit {STATUS}')
        user = "1000" if image in ("plain", "app-example") else "0"
        seen = (session.returncode, session.stdout)
        checks.that(f"{image}: a command over ssh", seen == (STATUS, f"{user}\ntwo  words\n"), (*seen, session.stderr))
        # The ancestor's way has no status of its own.
        expected = 0 if image == "ancestor" else STATUS
        status = container.status()
        checks.that(f"{image}: the container ends with the session", status == expected, f"exit code {status}")


def check_ancestors_client(checks: Checks, image: str, scratch: pathlib.Path) -> None:
    """What ecs-fargate-login does: an RSA key of 2048 bits, root@address, no look at the host key."""
    options = ["--entrypoint", "/fargate-init"] if image == "app-example" else []
    with Container(image, scratch, *options, kind=("rsa", "-b", "2048")) as container:
        container.identification()
        session = container.ssh(f"exit {STATUS}", verify=False)
        checks.that(f"{image}: lets the ancestor's client in", session.returncode == STATUS, (session.returncode, session.stderr))


def check_plain(checks: Checks, scratch: pathlib.Path) -> None:
    """Small, not root, and content with a read-only root."""
    size = compressed("plain")
    checks.that("plain: at most 6 MB compressed", size <= LARGEST_PLAIN, f"{size} bytes")
    user = inspect(name("plain"))["Config"]["User"]
    checks.that("plain: not root", user not in ("", "0", "root"), user)
    with Container("plain", scratch, "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges") as container:
        container.identification()
        session = container.ssh("ls /etc/ssl/certs")
        checks.that("plain: read-only, no capabilities", session.stdout == "ca-certificates.crt\n", (session.stdout, session.stderr))
    with Container("plain", scratch, "--sysctl", "net.ipv4.ip_unprivileged_port_start=1024", "--user", "0") as container:
        greeting = container.identification()
        checks.that("plain: as root where port 22 is root's", greeting.startswith(b"SSH-2.0-"), greeting)


def check_tools(checks: Checks, scratch: pathlib.Path) -> None:
    """Every tool runs in a session."""
    with Container("tools", scratch) as container:
        container.identification()
        script = "; ".join(f"{tool} >/tmp/told 2>&1; echo $? {tool.split()[0]} $(head -n 1 /tmp/told)" for tool in TOOLS)
        lines = container.ssh(script).stdout.splitlines()
        checks.that("tools: all answered", len(lines) == len(TOOLS), len(lines))
        for line in lines:
            status, _, told = line.partition(" ")
            tool, _, version = told.partition(" ")
            checks.that(f"tools: {tool}", status == "0", version)


def check_app(checks: Checks, scratch: pathlib.Path) -> None:
    """The application serves as before, and its console works in a login of the same image."""
    with Container("app-example", scratch, "--env", "LEDGER_TOKEN=t0ken") as container:
        entry = urllib.request.Request(
            f"http://{container.address()}:8080/entries", b'{"cents": 1250, "note": "tea"}', {"Authorization": "Bearer t0ken"}
        )
        answer = answered(entry, container)
        checks.that("app-example: the service books an entry", answer.get("cents") == 1250, answer)
    with Container("app-example", scratch, "--entrypoint", "/fargate-init") as container:
        container.identification()
        session = container.ssh("echo \"book.book(300, 'milk'); print(book.balance())\" | console && console 'book.balance()'")
        checks.that("app-example: the console over ssh", session.stdout == "300\n300\n", (session.stdout, session.stderr))


def answered(request: urllib.request.Request, container: Container) -> dict:
    """The service's answer, once it listens."""
    deadline = time.monotonic() + START_TIMEOUT
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with direct.open(request, timeout=START_TIMEOUT) as response:
                return json.load(response)
        except OSError as error:
            if time.monotonic() > deadline or isinstance(error, urllib.error.HTTPError):
                return {"error": str(error), "log": container.logs()[-1500:]}
            time.sleep(0.05)


def check_elsewhere(checks: Checks, init: pathlib.Path, scratch: pathlib.Path) -> None:
    """The same commit at another path, built into another target directory, gives the same bytes."""
    checkout = scratch / "another" / "place"
    output("git", "clone", "--quiet", "--no-hardlinks", ROOT, checkout)
    environment = {key: value for key, value in os.environ.items() if key != "CARGO_TARGET_DIR"}
    other = pathlib.Path(output("sh", checkout / "server-image/build-static", env=environment))
    checks.that("the init of another checkout has the same bytes", other.read_bytes() == init.read_bytes(), other)


def main() -> None:
    """Builds, checks, counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--init", type=pathlib.Path)
    parser.add_argument("--base")
    parser.add_argument("--elsewhere", action="store_true")
    arguments = parser.parse_args()
    base = ["--base", arguments.base] if arguments.base else []
    init = arguments.init or pathlib.Path(output("sh", ROOT / "server-image/build-static"))
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="images-") as directory:
        scratch = pathlib.Path(directory)
        try:
            build_all(checks, init, base, scratch)
            for image in IMAGES:
                check_contents(checks, image, scratch)
                check_login(checks, image, scratch)
            for image in OURS:
                check_ancestors_client(checks, image, scratch)
            check_plain(checks, scratch)
            check_tools(checks, scratch)
            check_app(checks, scratch)
            if arguments.elsewhere:
                check_elsewhere(checks, init, scratch)
        finally:
            left = output("docker", "ps", "--all", "--quiet", "--filter", f"label={LABEL}").split()
            for container in left:
                output("docker", "rm", "--force", container)
            remove_stages()
        checks.that("no container is left", not left, left or "")
    print(f"images: {checks.passed} passed, {checks.failed} failed")
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
