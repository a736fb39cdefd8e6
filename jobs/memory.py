"""How much memory is free: of the machine, of the control group this process is in, of a GPU."""

from pathlib import Path

import psutil

GROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
# What each version of Linux's control groups calls: limit, use, and the caches that give way.
VERSIONS = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def free(device: str = "cpu") -> int:
    """Return the free bytes: of the machine or its control group, whichever has less."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    machine = int(psutil.virtual_memory().available)
    return min([machine, *_of_groups(GROUPS, OWN)])


def _of_groups(root: Path, own: Path) -> list[int]:
    """Return what is left within each limit of the process' group and of those around it."""
    found = []
    for number, kinds, name in _lines(own):
        version = "" if number == "0" and not kinds else "memory"
        if version and version not in kinds.split(","):
            continue
        folder = root / version / name.lstrip("/")
        inside = [folder, *folder.parents]
        # Within a container the path may be the host's, and only the root is there.
        around = [place for place in inside if place.is_relative_to(root)]
        left = (_left(place, *VERSIONS[version]) for place in around)
        found += [room for room in left if room is not None]
    return found


def _lines(own: Path) -> list[tuple[str, str, str]]:
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []  # not Linux, or no control groups
    parts = (line.split(":", 2) for line in lines)
    return [(p[0], p[1], p[2]) for p in parts if len(p) == 3]


def _left(folder: Path, limit: str, use: str, cache: str) -> int | None:
    try:
        most, used = (folder / limit).read_text().strip(), int((folder / use).read_text())
        if most == "max":
            return None
        words = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return max(int(most) - used + int(words.get(cache, 0)), 0)
    except (OSError, ValueError):
        return None  # a folder that sets no limit
