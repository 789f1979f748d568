"""Shows that the init needs nothing around it: no loader, no library, and an otherwise empty root to start in."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

START_TIMEOUT = 5.0
# Short, so that the check sees the init end by itself.
LOGIN_TIMEOUT_MS = 1000
END_TIMEOUT = 15.0
# For a login and a few files on a busy machine.
FILES_TIMEOUT_MS = 60_000


def readelf(flag: str, binary: str) -> str:
    """What binutils say of the executable."""
    return subprocess.run(["readelf", "--wide", flag, binary], check=True, capture_output=True, text=True).stdout


def check_static(binary: str) -> None:
    """Neither an interpreter nor a needed library is named in the executable."""
    if "INTERP" in readelf("--program-headers", binary):
        raise SystemExit(f"{binary} asks for a dynamic loader")
    if "(NEEDED)" in readelf("--dynamic", binary):
        raise SystemExit(f"{binary} asks for shared libraries")


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def identification(port: int, init: subprocess.Popen) -> bytes:
    """The first bytes of whoever listens on the port, once somebody does."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and init.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=START_TIMEOUT) as connection:
                return connection.recv(255)
        except ConnectionRefusedError:
            time.sleep(0.02)
    return b""


@contextlib.contextmanager
def started(binary: str, scratch: pathlib.Path, login_timeout_ms: int) -> Iterator[tuple[subprocess.Popen, int]]:
    """The init in a root that holds nothing but itself, with the port that it is to listen on. Its log is shown at the end."""
    key = scratch / "key"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True)
    root = scratch / "root"
    root.mkdir(exist_ok=True)
    shutil.copy2(binary, root / "fargate-init")
    port = free_port()
    grant = {
        "_AUTHORIZED_PUBLIC_KEY": key.with_suffix(".pub").read_text().strip(),
        "_FARGATE_LOGIN_LISTEN": "127.0.0.1",
        "_FARGATE_LOGIN_PORT": str(port),
        "_FARGATE_LOGIN_LOGIN_TIMEOUT_MS": str(login_timeout_ms),
    }
    as_root = [] if os.getuid() == 0 else ["unshare", "--map-root-user"]
    chroot = shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin")
    line = [*as_root, chroot, str(root), "/fargate-init"]
    with (scratch / "log").open("w+b") as log, subprocess.Popen(line, env=grant, stdout=log, stderr=log) as init:
        try:
            yield init, port
        finally:
            init.kill()
            log.seek(0)
            sys.stdout.write(log.read().decode(errors="replace"))


def check_start(binary: str, scratch: pathlib.Path) -> None:
    """The init listens, and ends when nobody logs in."""
    with started(binary, scratch, LOGIN_TIMEOUT_MS) as (init, port):
        greeting = identification(port, init)
        try:
            status = init.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            status = "none: it did not end"
    print(f"identification string {greeting!r}, exit status {status}")
    if not greeting.startswith(b"SSH-2.0-") or not isinstance(status, int):
        raise SystemExit("the init does not start in an empty root, or does not end by itself")


def check_files(binary: str, scratch: pathlib.Path) -> None:
    """Files go there and come back by sftp, and the init ends with the session."""
    text = os.urandom(1_000_000)
    (scratch / "local").write_bytes(text)
    script = f"put {scratch}/local /there\nls -l /\nget /there {scratch}/back\n"
    with started(binary, scratch, FILES_TIMEOUT_MS) as (init, port):
        identification(port, init)
        options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentityAgent=none"]
        line = ["sftp", "-q", "-F", "none", "-P", str(port), "-i", str(scratch / "key"), "-b", "-"]
        line += [word for option in options for word in ("-o", option)]
        sftp = subprocess.run([*line, "root@127.0.0.1"], input=script, text=True, timeout=FILES_TIMEOUT_MS / 1000)
        status = init.wait(END_TIMEOUT)
    back = scratch / "back"
    if sftp.returncode != 0 or status != 0 or not back.exists() or back.read_bytes() != text:
        raise SystemExit(f"no files in an empty root: sftp ended with {sftp.returncode}, the init with {status}")


if __name__ == "__main__":
    check_static(sys.argv[1])
    print(f"{sys.argv[1]} is static, {os.path.getsize(sys.argv[1])} bytes")
    with tempfile.TemporaryDirectory(prefix="static-init-") as name:
        check_start(sys.argv[1], pathlib.Path(name))
        check_files(sys.argv[1], pathlib.Path(name))
