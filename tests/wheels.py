"""Real wheels, made in milliseconds: a zip with METADATA, entry points and RECORD, as any build backend writes it."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

WHEEL = "Wheel-Version: 1.0\nGenerator: arthexis-tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel(
    folder: Path,
    name: str,
    files: Mapping[str, str],
    *,
    version: str = "1.0",
    entries: Mapping[str, Mapping[str, str]] | None = None,
    requires: Sequence[str] = (),
) -> Path:
    """Write a wheel of these files; ``entries`` maps a group to its entry points, ``requires`` is Requires-Dist."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    needs = "".join(f"Requires-Dist: {need}\n" for need in requires)
    points = "".join(
        f"[{group}]\n" + "".join(f"{point} = {target}\n" for point, target in of_group.items())
        for group, of_group in (entries or {}).items()
    )
    whole = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": WHEEL,
        f"{info}/entry_points.txt": points,
    }
    lines = [f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in whole.items()]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as made:
        for name_, text in whole.items():
            made.writestr(name_, text)
        made.writestr(f"{info}/RECORD", "".join(lines) + f"{info}/RECORD,,\n")
    return path


def unpacked(made: Path, site: Path) -> Path:
    """Install a wheel into a folder of the path by unpacking it, as an installer does."""
    with zipfile.ZipFile(made) as content:
        content.extractall(site)
    return site


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
