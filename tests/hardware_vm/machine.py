"""The machine: a kernel from apt, a small initramfs around it, and one boot for each story."""

from __future__ import annotations

import gzip
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "arthexis-hardware-vm"
META = "linux-image-amd64"
TO_BOOT = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
NEEDED = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "cpio": "cpio",
    "depmod": "kmod",
    "dpkg-deb": "dpkg",
    "apt-get": "apt",
}
PATIENCE_S = 900.0
MEMORY_MB = 1024


class Missing(Exception):
    """Something that the machine is made of is not here; the message says how it comes."""


def _run(*words: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"{words[0]} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


@dataclass(frozen=True)
class Kernel:
    """A stock kernel of Debian, unpacked: ``folder`` holds ``boot`` and ``lib/modules``."""

    version: str
    folder: Path

    @classmethod
    def fetched(cls) -> Kernel:
        """The newest one that apt knows, fetched and unpacked where it was not yet; raises ``Missing``."""
        absent = [package for command, package in NEEDED.items() if shutil.which(command) is None]
        if absent:
            raise Missing(f"apt-get install {' '.join(absent)}")
        found = re.search(r"Depends: linux-image-(\S+)", _run("apt-cache", "depends", META))
        if found is None:
            raise Missing(f"apt knows no {META}: this needs Debian on a PC; run apt-get update")
        kernel = cls(found[1], CACHE / found[1])
        if not kernel.complete:
            kernel._fetch()
        return kernel

    @property
    def modules(self) -> Path:
        """The folder with the versions' modules."""
        return next(self.folder / part for part in ("lib/modules", "usr/lib/modules") if (self.folder / part).exists())

    @property
    def complete(self) -> bool:
        """Whether it was fetched to the end."""
        return (self.folder / "complete").exists()

    def _fetch(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        _run("apt-get", "-qq", "download", f"linux-image-{self.version}", cwd=self.folder)
        [package] = self.folder.glob("*.deb")
        _run("dpkg-deb", "-x", package, self.folder)
        package.unlink()
        _run("depmod", "-b", self.modules.parent.parent, self.version)
        (self.folder / "complete").touch()

    def depends(self, module: str) -> list[Path]:
        """The files to load for a module, in their order; none where it is built in."""
        listed = _run("modprobe", "-d", self.modules.parent.parent, "-S", self.version, "--show-depends", module)
        return [Path(line.split()[1]) for line in listed.splitlines() if line.startswith("insmod ")]

    def initramfs(self, into: Path) -> Path:
        """An archive with busybox, what mounts this machine's files, and nothing else."""
        stage = into / "initramfs"
        for folder in ("bin", "lib", "proc", "sys", "dev", "ro", "rw", "whole"):
            (stage / folder).mkdir(parents=True)
        shutil.copy2(shutil.which("busybox") or "busybox", stage / "bin" / "busybox")
        shutil.copy2(HERE / "guest" / "init", stage / "init")
        (stage / "init").chmod(0o755)
        loaded = dict.fromkeys(path for module in TO_BOOT for path in self.depends(module))
        for number, path in enumerate(loaded):
            (stage / "lib" / f"{number:02}.ko").write_bytes(_plain(path))
        names = "\n".join(str(path.relative_to(stage)) for path in sorted(stage.rglob("*")))
        packed = subprocess.run(
            ["cpio", "--quiet", "-o", "-H", "newc"], cwd=stage, input=names.encode(), capture_output=True, check=True
        )
        archive = into / "initramfs.gz"
        archive.write_bytes(gzip.compress(packed.stdout, 1))
        return archive


def _plain(module: Path) -> bytes:
    packed = module.read_bytes()
    return lzma.decompress(packed) if module.suffix == ".xz" else packed


def boot(kernel: Kernel, story: str) -> tuple[bool, str]:
    """Run one story; whether it passed, and what it printed (or the console's end, where it came to nothing)."""
    with tempfile.TemporaryDirectory(prefix="arthexis-vm-") as name:
        folder = Path(name)
        out = folder / "out"
        out.mkdir()
        command = _qemu(kernel, kernel.initramfs(folder), out, story)
        with (folder / "console").open("wb") as console:
            try:
                subprocess.run(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                console.write(b"\nit did not end in time\n")
        said = _text(out / "log") or _text(folder / "console")[-3000:]
        return _text(out / "status").strip() == "0", said


def _text(path: Path) -> str:
    return path.read_text("utf-8", "replace") if path.exists() else ""


def _qemu(kernel: Kernel, initramfs: Path, out: Path, story: str) -> list[str]:
    """QEMU without any device but what is needed, without KVM (which is rarely there in CI), and without a network."""
    [image] = (kernel.folder / "boot").glob("vmlinuz-*")
    told = f"console=ttyS0 quiet panic=-1 clone={ROOT} python={sys.executable} modules={kernel.modules} story={story}"
    return [
        *("qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", str(MEMORY_MB), "-smp", "2"),
        *("-nographic", "-no-reboot", "-nodefaults", "-serial", "stdio", "-nic", "none"),
        *("-kernel", str(image), "-initrd", str(initramfs), "-append", told),
        *("-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"),
        *("-virtfs", f"local,path={out},mount_tag=out,security_model=none"),
    ]
