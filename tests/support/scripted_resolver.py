"""Runs a command in a network of its own whose only name server is this script.

    unshare -n -m python3 scripted_resolver.py COMMAND...

A name with the label `nx` does not exist, one with `fail` is SERVFAIL, `here` is 127.0.0.1; every
other question is never answered. The exit status is the command's.
"""

import fcntl
import socket
import struct
import subprocess
import sys
import tempfile
import threading

ADDRESS = "127.0.0.53"
NXDOMAIN, SERVFAIL = 3, 2


def raise_loopback():
    """`ip link set lo up`, without needing ip."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        flags = struct.pack("16sh14x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(control, 0x8914, flags)  # SIOCSIFFLAGS


def use_resolver():
    """Puts a resolv.conf of our own over the system's, in this mount namespace only."""
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(f"nameserver {ADDRESS}\noptions timeout:30 attempts:1\n")
        file.flush()
        subprocess.run(["mount", "--bind", file.name, "/etc/resolv.conf"], check=True)


def labels_of(question):
    labels, at = [], 12
    while size := question[at]:
        labels.append(question[at + 1 : at + 1 + size].decode())
        at += size + 1
    return labels, question[12 : at + 5], struct.unpack("!H", question[at + 1 : at + 3])[0]


def answer_for(question):
    """The answer to a question, or None."""
    labels, asked, kind = labels_of(question)
    head = question[:2]
    if "nx" in labels:
        return head + struct.pack("!HHHHH", 0x8180 | NXDOMAIN, 1, 0, 0, 0) + asked
    if "fail" in labels:
        return head + struct.pack("!HHHHH", 0x8180 | SERVFAIL, 1, 0, 0, 0) + asked
    if "here" in labels:
        record = struct.pack("!HHHIH4s", 0xC00C, 1, 1, 60, 4, socket.inet_aton("127.0.0.1"))
        count = 1 if kind == 1 else 0
        return head + struct.pack("!HHHHH", 0x8180, 1, count, 0, 0) + asked + record * count
    return None


def serve(server):
    while True:
        question, asker = server.recvfrom(2048)
        answer = answer_for(question)
        if answer:
            server.sendto(answer, asker)


def main():
    raise_loopback()
    use_resolver()
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((ADDRESS, 53))
    threading.Thread(target=serve, args=(server,), daemon=True).start()
    sys.exit(subprocess.run(sys.argv[1:]).returncode)


if __name__ == "__main__":
    main()
