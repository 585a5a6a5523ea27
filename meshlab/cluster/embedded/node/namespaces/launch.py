"""How does a process get into its pod? By this script, which then becomes the container's command.

    python -I -S launch.py '{"namespaces": [...], ...}' command argument ...

It joins the pod's namespaces, takes a mount namespace of the container's own, in which other pods' and labs' files
are hidden, and gives up every capability but those it was told to keep. It knows the standard library only, and
little of that: every container waits for it.
"""

import ctypes
import json
import os
import sys

_NEWNS = 0x20000
_READ_ONLY, _NO_SETUID, _NO_DEVICES, _REMOUNT, _BIND, _RECURSIVE = 1, 2, 4, 32, 4096, 16384
_DROP_FROM_BOUNDING, _NO_NEW_PRIVILEGES, _AMBIENT, _RAISE = 24, 38, 47, 2
_CAPABILITIES_V3 = 0x20080522
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Enter, and become the command."""
    plan, command, folder = json.loads(sys.argv[1]), sys.argv[2:], os.getcwd()  # noqa: PTH109  # pathlib takes its time
    enter(plan["namespaces"])
    mount(plan["hidden"], plan["shown"], plan["mounts"])
    keep_only(plan["capabilities"])
    os.chdir(folder)
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f'exec: "{command[0]}": {error.strerror}\n')
        sys.exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE)


def enter(namespaces: list[str]) -> None:
    """Join namespaces, the user namespace first: it gives the right to join the others."""
    opened = [os.open(path, os.O_RDONLY) for path in namespaces]
    for descriptor in opened:
        _call("setns", descriptor, 0)
        os.close(descriptor)
    _call("unshare", _NEWNS)


def mount(hidden: str, shown: list[str], mounts: list[tuple[str, str]]) -> None:
    """Show nothing of the folder `hidden` but the folders `shown`; put each of `mounts` over what is at its target."""
    sources = {path: os.open(path, os.O_PATH) for path in [*shown, *(source for source, _ in mounts)]}
    _mount("tmpfs", hidden, "tmpfs", _NO_SETUID | _NO_DEVICES, "mode=755")
    for path in shown:
        os.makedirs(path)  # noqa: PTH103
    _mount("", hidden, "", _REMOUNT | _BIND | _READ_ONLY | _NO_SETUID | _NO_DEVICES)
    for source, target in [*((path, path) for path in shown), *mounts]:
        _mount(f"/proc/self/fd/{sources[source]}", target, "", _BIND | _RECURSIVE)
    for descriptor in sources.values():
        os.close(descriptor)


def keep_only(capabilities: list[int]) -> None:
    """Give up all other capabilities, for good and for every program that is started from here."""
    with open("/proc/sys/kernel/cap_last_cap") as file:  # noqa: PTH123
        known = range(int(file.read()) + 1)
    for number in known:
        if number not in capabilities:
            _call("prctl", _DROP_FROM_BOUNDING, number, 0, 0, 0)
    mask = sum(1 << number for number in capabilities)
    halves = [mask & 0xFFFFFFFF] * 3 + [mask >> 32] * 3
    _call("capset", (ctypes.c_uint32 * 2)(_CAPABILITIES_V3, 0), (ctypes.c_uint32 * 6)(*halves))
    for number in capabilities:
        _call("prctl", _AMBIENT, _RAISE, number, 0, 0)
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    _call("mount", *map(os.fsencode, (source, target, kind)), flags, os.fsencode(options))


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments):
        number = ctypes.get_errno()
        shown = [argument.decode() if isinstance(argument, bytes) else argument for argument in arguments]
        raise OSError(number, f"{name}{shown}: {os.strerror(number)}")


if __name__ == "__main__":
    main()
