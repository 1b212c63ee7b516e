"""Runs a command as if the kernel had another Landlock ABI: old_kernel.py ABI COMMAND…

ABI 0 is a kernel without Landlock. Answers the question for the ABI through seccomp's user
notifications (Linux 5.5), and lets the kernel handle everything else. Exits with 77 if it cannot.
"""

import ctypes
import fcntl
import os
import struct
import subprocess
import sys
import threading

ARCHES = {"x86_64": 317, "aarch64": 277}
LANDLOCK_CREATE_RULESET = 444
ENOSYS = 38
# From linux/seccomp.h and linux/filter.h.
SECCOMP_SET_MODE_FILTER, NEW_LISTENER = 1, 8
RET_ALLOW, RET_USER_NOTIF = 0x7FFF0000, 0x7FC00000
NOTIF_RECV, NOTIF_SEND, NOTIF_CONTINUE = 0xC0502100, 0xC0182101, 1
LD_ABS, JEQ, RET = 0x20, 0x15, 0x06
PR_SET_NO_NEW_PRIVS = 38
VERSION = 1


def listener():
    libc = ctypes.CDLL(None, use_errno=True)
    code = b"".join(
        struct.pack("=HBBI", *one)
        for one in [
            (LD_ABS, 0, 0, 0),
            (JEQ, 0, 1, LANDLOCK_CREATE_RULESET),
            (RET, 0, 0, RET_USER_NOTIF),
            (RET, 0, 0, RET_ALLOW),
        ]
    )
    text = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", 4, ctypes.addressof(text))
    program = ctypes.create_string_buffer(program, len(program))
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    number = ARCHES.get(os.uname().machine)
    fd = libc.syscall(number, SECCOMP_SET_MODE_FILTER, NEW_LISTENER, program) if number else -1
    if fd < 0:
        sys.exit(77)
    return fd


def answer(fds, ready, abi):
    ready.wait()
    while True:
        asked = bytearray(80)
        try:
            fcntl.ioctl(fds[0], NOTIF_RECV, asked)
        except OSError:
            return
        ident, = struct.unpack_from("=Q", asked, 0)
        flags, = struct.unpack_from("=Q", asked, 32 + 16)
        reply = struct.pack("=QqiI", ident, 0, 0, NOTIF_CONTINUE)
        if abi == 0:
            reply = struct.pack("=QqiI", ident, 0, -ENOSYS, 0)
        elif flags == VERSION:
            reply = struct.pack("=QqiI", ident, abi, 0, 0)
        try:
            fcntl.ioctl(fds[0], NOTIF_SEND, reply)
        except OSError:
            pass


def main():
    abi, command = int(sys.argv[1]), sys.argv[2:]
    fds, ready = [], threading.Event()
    threading.Thread(target=answer, args=(fds, ready, abi), daemon=True).start()
    # The filter holds for this thread and what it starts, not for the one that answers.
    fds.append(listener())
    ready.set()
    sys.exit(subprocess.call(command))


main()
