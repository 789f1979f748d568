"""A user who keeps to no rule: raw SSH messages behind a proper login. Prints one line of JSON about what came back.

Arguments: address, port, file with the private key, name of the trick. paramiko does transport and login; everything of the
connection protocol (RFC 4254) is made and read here.
"""

import json
import queue
import socket
import struct
import sys

import paramiko

# Message numbers (RFC 4250, section 4.1.2).
GLOBAL_REQUEST, REQUEST_FAILURE = 80, 82
OPEN, OPENED, REFUSED, ADJUST, DATA, EXTENDED, EOF, CLOSE, REQUEST, SUCCESS, FAILURE = range(90, 101)

# Every wait ends: a server that answers nothing is a finding, not a test that hangs.
PATIENCE = 60
WINDOW, PACKET = 1 << 21, 1 << 15


def string(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(value)) + value


def number(value):
    return struct.pack(">I", value)


class Raw:
    def __init__(self, address, port, key):
        self.socket = socket.socket()
        # What the kernel would take in our place shows nothing.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.socket.connect((address, int(port)))
        self.transport = paramiko.Transport(self.socket)
        self.inbox = queue.Queue()
        self.number = 0
        read = self.transport.packetizer.read_message

        def divert():
            while True:
                kind, message = read()
                if kind < 80:
                    return kind, message
                self.inbox.put((kind, message.asbytes()))

        self.transport.packetizer.read_message = divert
        self.transport.start_client(timeout=PATIENCE)
        self.transport.auth_publickey("root", paramiko.Ed25519Key.from_private_key_file(key))

    def send(self, kind, *parts):
        message = paramiko.Message()
        message.add_byte(bytes([kind]))
        for part in parts:
            message.packet.write(part)
        self.transport._send_message(message)

    def next(self, *kinds):
        """The next message of these kinds; keepalives of the server's are answered, other messages passed over."""
        while True:
            try:
                kind, body = self.inbox.get(timeout=0.2)
            except queue.Empty:
                if not self.transport.is_active():
                    raise EOFError from None
                continue
            if kind == GLOBAL_REQUEST:
                self.send(REQUEST_FAILURE)
            if kind in kinds:
                return kind, body

    def open(self, kind="session", *more, window=WINDOW, packet=PACKET):
        """Asks for a channel; answers the server's number for it, or the reason that it gave (RFC 4254, section 5.1)."""
        self.number += 1
        self.send(OPEN, string(kind), number(self.number), number(window), number(packet), *more)
        answer, body = self.next(OPENED, REFUSED)
        value = struct.unpack(">I", body[4:8])[0]
        return (value, None) if answer == OPENED else (None, value)

    def request(self, channel, kind, *more, reply=True):
        self.send(REQUEST, number(channel), string(kind), bytes([reply]), *more)

    def asked(self, channel, kind, *more):
        self.request(channel, kind, *more)
        return self.next(SUCCESS, FAILURE)[0] == SUCCESS

    def lives(self):
        """Whether a command still runs on this connection."""
        channel, reason = self.open()
        if channel is None:
            return f"refused: {reason}"
        self.request(channel, "exec", string("echo alive"), reply=False)
        while True:
            body = self.next(DATA)[1]
            if body[8:] == b"alive\n":
                self.send(CLOSE, number(channel))
                return True


def windows(raw):
    """Window adjustments of nothing and beyond 2^32, data past the window and for channels that are closed or never were."""
    channel, _ = raw.open()
    raw.request(channel, "exec", string("sleep 1000"), reply=False)
    for amount in (0, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF):
        raw.send(ADJUST, number(channel), number(amount))
    # More than the server ever granted, to a command that reads none of it.
    for _ in range(3000):
        raw.send(DATA, number(channel), string(b"x" * 32768))
    for _ in range(2):
        raw.send(EOF, number(channel))
        raw.send(CLOSE, number(channel))
    for lost in (channel, 0xFFFFFFFF, 77777):
        raw.send(DATA, number(lost), string(b"x"))
        raw.send(EXTENDED, number(lost), number(1), string(b"x"))
        raw.send(ADJUST, number(lost), number(1))
        raw.send(EOF, number(lost))
        raw.send(CLOSE, number(lost))
        raw.request(lost, "exec", string("touch /tmp/never"))
    return {"lives": raw.lives()}


def narrow(raw):
    """Channels whose window or packets have no room, with commands that write a lot."""
    told = {}
    for window, packet in ((0, PACKET), (1, 1), (0xFFFFFFFF, 0xFFFFFFFF), (0, 0), (WINDOW, 0)):
        try:
            channel, _ = raw.open(window=window, packet=packet)
            raw.request(channel, "exec", string("head -c 2000000 /dev/zero"), reply=False)
            told[f"{window} {packet}"] = raw.lives()
        except EOFError:
            told[f"{window} {packet}"] = "cut"
            break
    return told


def channels(raw):
    """A thousand channels at once, then again after they are closed."""
    told = {}
    for attempt in ("first", "again"):
        opened, reasons = [], []
        for _ in range(1000):
            channel, reason = raw.open()
            (opened if channel is not None else reasons).append(channel if channel is not None else reason)
        told[attempt] = {"opened": len(opened), "reasons": sorted(set(reasons))}
        for channel in opened:
            raw.send(CLOSE, number(channel))
    return {**told, "lives": raw.lives()}


def requests(raw):
    """Floods of every request before a program starts and while it runs, with the longest strings that fit in a packet."""
    long = "x" * 200_000
    channel, _ = raw.open()
    granted = 0
    for index in range(200):
        raw.request(channel, "env", string(f"LC_{index}"), string(long), reply=False)
        raw.request(channel, "signal", string(long), reply=False)
    channel, _ = raw.open()
    for index in range(1000):
        granted += raw.asked(channel, "env", string(f"LC_{index}"), string("small"))
    raw.send(CLOSE, number(channel))
    channel, _ = raw.open()
    terminals = sum(raw.asked(channel, "pty-req", string("xterm"), number(80) * 4, string(b"\0")) for _ in range(100))
    shells = sum(raw.asked(channel, "exec", string("sleep 1000")) for _ in range(50))
    for size in range(20_000):
        raw.request(channel, "window-change", number(size), number(size ^ 0xFFFFFFFF), number(0) * 2, reply=False)
    raw.send(CLOSE, number(channel))
    return {"variables": granted, "terminals": terminals, "programs": shells, "lives": raw.lives()}


def forwarding(raw):
    """Everything that forwards, each with the reason or the answer."""
    origin = string("127.0.0.1") + number(4)
    target = string("127.0.0.1") + number(22)
    reasons = {
        "direct-tcpip": raw.open("direct-tcpip", target, origin)[1],
        "direct-streamlocal": raw.open("direct-streamlocal@openssh.com", string("/run/x"), string(""), number(0))[1],
        "forwarded-tcpip": raw.open("forwarded-tcpip", target, origin)[1],
        "x11": raw.open("x11", origin)[1],
        "auth-agent": raw.open("auth-agent@openssh.com")[1],
        "tun": raw.open("tun@openssh.com", number(1), number(0))[1],
    }
    for kind, more in (
        ("tcpip-forward", (string("0.0.0.0"), number(0))),
        ("streamlocal-forward@openssh.com", (string("/run/x"),)),
        ("no-such-request", ()),
    ):
        raw.send(GLOBAL_REQUEST, string(kind), b"\1", *more)
        reasons[kind] = raw.next(81, REQUEST_FAILURE)[0]
    channel, _ = raw.open()
    reasons["auth-agent-req"] = raw.asked(channel, "auth-agent-req@openssh.com")
    reasons["x11-req"] = raw.asked(channel, "x11-req", b"\0", string("MIT-MAGIC-COOKIE-1"), string("00"), number(0))
    reasons["subsystem"] = raw.asked(channel, "subsystem", string("no-such"))
    return {**reasons, "lives": raw.lives()}


def forwards(raw):
    """Forwards without end: to targets of any length and of any bytes, listeners, cancellations of what never was."""
    origin = string("x" * 50_000) + number(0xFFFFFFFF)
    reasons = set()
    for name in ("", "x" * 100_000, "a\0b", "\r\n{\"event\":\"exit\"}", "256.256.256.256", "..", "::1%lo", "[::1]"):
        for port in (0, 1, 65536, 0xFFFFFFFF):
            reasons.add(raw.open("direct-tcpip", string(name) + number(port), origin)[1])
        reasons.add(raw.open("direct-streamlocal@openssh.com", string(name), string(""), number(0))[1])
        reasons.add(raw.open("direct-streamlocal@openssh.com", string("/" + name), string(""), number(0))[1])
    # A directory and a file are no sockets.
    reasons.add(raw.open("direct-streamlocal@openssh.com", string("/"), string(""), number(0))[1])
    reasons.add(raw.open("direct-streamlocal@openssh.com", string("/etc/passwd"), string(""), number(0))[1])
    answers = set()
    for _ in range(2000):
        raw.send(GLOBAL_REQUEST, string("cancel-tcpip-forward"), b"\1", string("x"), number(1))
        answers.add(raw.next(81, REQUEST_FAILURE)[0])
        raw.send(GLOBAL_REQUEST, string("streamlocal-forward@openssh.com"), b"\1", string("/no/such/directory/x"))
        answers.add(raw.next(81, REQUEST_FAILURE)[0])
    return {"reasons": sorted(reasons), "answers": sorted(answers), "lives": raw.lives()}


def oversized(raw):
    """A packet of two gigabytes, by its length."""
    raw.socket.sendall(number(0x7FFFFFF0) + b"x" * 100_000)
    raw.transport.join(PATIENCE)
    return {"cut": not raw.transport.is_active()}


TRICKS = (windows, narrow, channels, requests, forwarding, forwards, oversized)

if __name__ == "__main__":
    address, port, key, trick = sys.argv[1:]
    raw = Raw(address, port, key)
    told = {function.__name__: function for function in TRICKS}[trick](raw)
    print(json.dumps(told), flush=True)
    raw.transport.close()
