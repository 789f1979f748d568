"""Writes the golden bytes beside it from the published layout, with nothing of this repository's: `python make.py`.

Frames: big-endian header of 116 bytes, payload length, payload (amazon-ssm-agent, agent/session/contracts/agentmessage.go).
Sealed data: 12-byte nonce, AES-256-GCM text, tag. Needs `cryptography` for the latter.
"""

import hashlib
import pathlib
import struct
import textwrap

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HERE = pathlib.Path(__file__).parent
CREATED = 1_700_000_000_123
IDENTIFIER = "00112233-4455-6677-8899-aabbccddeeff"


def frame(kind: str, sequence: int, flags: int, payload_type: int, payload: bytes) -> bytes:
    identifier = bytes.fromhex(IDENTIFIER.replace("-", ""))
    head = struct.pack(">I32sIQqQ", 116, kind.encode().ljust(32), 1, CREATED, sequence, flags)
    head += identifier[8:] + identifier[:8] + hashlib.sha256(payload).digest()
    return head + struct.pack(">II", payload_type, len(payload)) + payload


def write(name: str, data: bytes) -> None:
    (HERE / name).write_text("\n".join(textwrap.wrap(data.hex(), 64)) + "\n")


ACKNOWLEDGED = (
    '{"AcknowledgedMessageType":"output_stream_data","AcknowledgedMessageId":"' + IDENTIFIER + '",'
    '"AcknowledgedMessageSequenceNumber":7,"IsSequentialMessage":true}'
)
write("output.hex", frame("output_stream_data", 0, 1, 1, b"hello\r\n"))
write("input.hex", frame("input_stream_data", 258, 0, 3, b'{"cols":80,"rows":24}'))
write("acknowledge.hex", frame("acknowledge", 0, 3, 0, ACKNOWLEDGED.encode()))
NONCE = bytes(range(0xA0, 0xAC))
write("sealed-by-client.hex", NONCE + AESGCM(bytes(range(32, 64))).encrypt(NONCE, b"ls -l\n", None))
