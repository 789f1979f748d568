"""OpenSSH's SFTP server, but no request of one kind is answered before so many of them are there: `holding_sftp.py KIND MANY`."""

import os
import struct
import subprocess
import sys
import threading

PATIENCE = 60
KIND, MANY = (int(word) for word in sys.argv[1:])
server = subprocess.Popen(["/usr/lib/openssh/sftp-server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
held = set()
enough = threading.Event()


def packets(stream):
    while head := stream.read(4):
        yield head + stream.read(struct.unpack(">I", head)[0])


def pass_requests_on():
    for packet in packets(sys.stdin.buffer):
        # A length, the kind, and an id, which the answer has too.
        if packet[4] == KIND:
            held.add(packet[5:9])
            if len(held) >= MANY:
                enough.set()
        server.stdin.write(packet)
        server.stdin.flush()
    server.stdin.close()


threading.Thread(target=pass_requests_on, daemon=True).start()
for packet in packets(server.stdout):
    if packet[5:9] in held and not enough.wait(PATIENCE):
        print(f"there were never {MANY} requests of kind {KIND}, but {len(held)}", file=sys.stderr, flush=True)
        # The other thread may be reading: nothing waits for it.
        os._exit(1)
    sys.stdout.buffer.write(packet)
    sys.stdout.buffer.flush()
