"""Takes commands out of README.md, so that what is checked is what the reader is told to type."""

import pathlib
import re
import sys

README = pathlib.Path(__file__).resolve().parent.parent / "README.md"


def command(prefix: str) -> str:
    """The one line of the README's shell blocks that begins with `prefix`."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith(prefix)]
    if len(lines) != 1:
        raise SystemExit(f"README.md has {len(lines)} commands that begin with {prefix!r}, not one")
    return lines[0]


if __name__ == "__main__":
    print(command(sys.argv[1]))
