"""FTP and FTPS by another client: one file for one login, bytes as they are, and no way out of it."""

from __future__ import annotations

import asyncio
import ftplib
import io
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from aiohttp import ClientSession
from arthexis_files.node import Files, files_of
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from arthexis.testing import Node, node

FTP = {"ftp": "ftp", "ftp_port": 0, "schemes": ["ftp"], "max_upload_bytes": 100_000}
pytestmark = pytest.mark.node(config={"plugins": {"files": FTP}})


def session(location: str, *, user: str | None = None, password: str | None = None) -> ftplib.FTP:
    parts = urlsplit(location)
    ftp = ftplib.FTP(timeout=10)
    try:
        ftp.connect(parts.hostname or "", parts.port or 0)
        ftp.login(user or unquote(parts.username or ""), password or unquote(parts.password or ""))
    except BaseException:
        ftp.close()
        raise
    return ftp


def fetched(location: str, **who: Any) -> bytes:
    parts: list[bytes] = []
    with session(location, **who) as ftp:
        ftp.retrbinary(f"RETR {urlsplit(location).path}", parts.append)
    return b"".join(parts)


async def refused(work: Callable[..., Any], *args: Any, **options: Any) -> str:
    with pytest.raises(ftplib.error_perm) as caught:
        await asyncio.to_thread(work, *args, **options)
    return str(caught.value)


async def test_a_file_is_fetched_once(location: str, content: bytes) -> None:
    assert await asyncio.to_thread(fetched, location) == content
    assert (await refused(fetched, location)).startswith("550")


async def test_what_was_fetched_is_not_fetched_again_but_for_its_first_byte(location: str, content: bytes) -> None:
    def rest() -> None:
        with session(location) as ftp:
            ftp.retrbinary("RETR acme-2.0.bin", lambda _: None, rest=1)

    assert await asyncio.to_thread(fetched, location) == content
    await asyncio.to_thread(rest)
    assert (await refused(rest)).startswith("550")


async def test_another_user_and_another_password_are_refused_alike(location: str, content: bytes) -> None:
    wrong = await refused(fetched, location, user="CP-2")
    assert wrong == await refused(fetched, location, password="0" * 48)
    assert wrong.startswith("530")
    assert await asyncio.to_thread(fetched, location) == content


async def test_bytes_are_never_altered(location: str, content: bytes) -> None:
    def as_text() -> bytes:
        parts: list[bytes] = []
        with session(location) as ftp:
            ftp.voidcmd("TYPE A")
            with ftp.transfercmd("RETR acme-2.0.bin") as channel:
                while block := channel.recv(65536):
                    parts.append(block)
            ftp.voidresp()
        return b"".join(parts)

    assert await asyncio.to_thread(as_text) == content


async def test_a_login_sees_its_file_and_nothing_else(location: str, content: bytes) -> None:
    def look() -> tuple[list[str], int | None, list[str]]:
        answers = []
        with session(location) as ftp:
            names, size = ftp.nlst(), ftp.size("acme-2.0.bin")
            for command in (
                "RETR ../pepper",
                "RETR /etc/passwd",
                "RETR acme-2.0.bin\0.txt",
                "CWD ..",
                "CWD /etc",
                "STOR new.bin",
                "DELE acme-2.0.bin",
                "MKD here",
                "RNFR acme-2.0.bin",
                "SITE CHMOD 777 acme-2.0.bin",
                "PORT 10,0,0,1,0,22",
            ):
                try:
                    answers.append(ftp.sendcmd(command)[:1])
                except ftplib.Error as error:
                    answers.append(str(error)[:1])
        return names, size, answers

    names, size, answers = await asyncio.to_thread(look)
    assert (names, size) == (["acme-2.0.bin"], len(content))
    assert [answer for answer in answers if answer != "5"] in ([], ["2"])


def bring(location: str, data: bytes, name: str = "log.txt") -> None:
    with session(location) as ftp:
        ftp.storbinary(f"STOR {name}", io.BytesIO(data))


async def test_a_file_is_brought_once(http: ClientSession, folder: str, files: Files) -> None:
    await asyncio.to_thread(bring, folder, b"all is well")
    assert (await refused(bring, folder, b"again")).startswith("530")
    async with http.get("/api/v1/files", params={"station": "CP-1"}) as response:
        (file,) = (await response.json())["items"]
    assert (file["name"], file["kind"]) == ("log.txt", "diagnostics")
    assert files.store.path(file["id"]).read_bytes() == b"all is well"


async def test_too_much_leaves_nothing_and_does_not_use_the_token_up(folder: str, files: Files) -> None:
    def too_much() -> None:
        try:
            bring(folder, b"x" * 200_000)
        except OSError:
            raise ftplib.error_perm("426 cut off") from None
        except ftplib.error_temp as error:
            raise ftplib.error_perm(str(error)) from None

    assert (await refused(too_much)).startswith("426")
    assert list(files.store.folder.iterdir()) == []
    assert files.store.used == 0
    await asyncio.to_thread(bring, folder, b"x" * 100_000)


@pytest.mark.parametrize("name", ["../../pepper", "/etc/passwd", "..", "a/../../b", "a\0b"])
async def test_no_name_reaches_another_place(folder: str, files: Files, name: str) -> None:
    pepper = (files.store.folder.parent / "pepper").read_bytes()
    try:
        await asyncio.to_thread(bring, folder, b"evil", name)
    except ftplib.Error:
        assert list(files.store.folder.iterdir()) == []
    assert (files.store.folder.parent / "pepper").read_bytes() == pepper
    assert all(len(path.name) == 32 for path in files.store.folder.iterdir())


async def test_its_thread_ends_with_the_node(tmp_path: Path) -> None:
    for _ in range(3):
        plugins = ["arthexis-ocpp16:*", "arthexis-files:*"]
        async with node(tmp_path, plugins=plugins, config={"plugins": {"files": FTP}}) as running:
            assert files_of(running.host).roll_outs.ftp_port > 0
            assert [thread.name for thread in threading.enumerate()].count("ftp") == 1
        assert [thread.name for thread in threading.enumerate()].count("ftp") == 0


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "certificate.pem"
    path.write_bytes(made.public_bytes(pem) + private)
    return path


async def test_ftps_encrypts_both_channels_and_takes_no_password_in_the_clear(
    tmp_path: Path, certificate: Path
) -> None:
    settings = {**FTP, "ftp": "ftps", "schemes": ["ftps"], "ftp_certificate": str(certificate)}
    plugins = ["arthexis-ocpp16:*", "arthexis-files:*"]
    async with node(tmp_path / "tls", plugins=plugins, config={"plugins": {"files": settings}}) as running:
        location = await _told(running)
        assert location.startswith("ftps://")
        assert (await refused(fetched, location.replace("ftps://", "ftp://"))).startswith("550")

        def encrypted() -> bytes:
            parts: list[bytes] = []
            url = urlsplit(location)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.load_verify_locations(certificate)
            with ftplib.FTP_TLS(context=context, timeout=10) as ftp:
                ftp.connect(url.hostname or "", url.port or 0)
                ftp.login(url.username or "", url.password or "")
                ftp.prot_p()
                ftp.retrbinary("RETR a.bin", parts.append)
            return b"".join(parts)

        assert await asyncio.to_thread(encrypted) == b"firmware" * 10_000


async def _told(running: Node) -> str:
    """Where CP-1 of a node is told to fetch a file from."""
    from arthexis_simulator import station

    async with ClientSession(running.url) as http, station(running.url, "CP-1") as cp:
        await cp.boot()
        cp.answer("UpdateFirmware", {})
        async with http.post("/api/v1/files", params={"name": "a.bin"}, data=b"firmware" * 10_000) as response:
            file = (await response.json())["id"]
        async with http.post("/api/v1/deployments", json={"stations": ["CP-1"], "file": file}) as response:
            assert response.status == 202, await response.text()
        return str((await cp.expect("UpdateFirmware"))["location"])


async def test_a_certificate_that_is_none_is_said_with_its_setting(tmp_path: Path) -> None:
    settings = {**FTP, "ftp": "ftps", "ftp_certificate": str(tmp_path / "none.pem")}
    async with node(tmp_path, plugins=["arthexis-files:*"], config={"plugins": {"files": settings}}) as running:
        assert "plugins.files.ftp_certificate" in running.plugin("files").reason
        running.excuse("files")
