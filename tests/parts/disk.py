"""A small disk of its own (tmpfs), which tests fill up."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.parts.server import PartMissing

CHUNK = bytes(65_536)


class SmallDisk:
    """A disk of `megabytes`, mounted at `folder`. Raises PartMissing where nothing may be mounted."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder, self._ballast = folder, folder / "ballast"
        folder.mkdir(parents=True, exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0777", "tmpfs", str(folder)]
        done = subprocess.run([*_AS_ROOT, *mount], capture_output=True, text=True, check=False)
        if done.returncode:
            raise PartMissing(f"a full disk needs a disk of its own, and mount says: {done.stderr.strip()}")

    def fill(self) -> None:
        """Leave no byte."""
        with self._ballast.open("ab", buffering=0) as ballast:
            for size in (len(CHUNK), 4096, 1):
                try:
                    while ballast.write(CHUNK[:size]) == size:
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        """Make room again."""
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        subprocess.run([*_AS_ROOT, "umount", "--lazy", str(self.folder)], capture_output=True, check=True)


_AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]
