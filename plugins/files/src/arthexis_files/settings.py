"""The settings of this plugin, section ``[plugins.files]``."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

MIB = 1 << 20

Port = Annotated[int, Meta(ge=0, le=65535)]


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How large files may be, how long tokens live, and whether FTP is offered."""

    quota_bytes: Annotated[int, Meta(ge=MIB, description="Bytes of all files together")] = 10 << 30
    max_file_bytes: Annotated[int, Meta(ge=1, description="The largest file that people may add")] = 1 << 30
    max_upload_bytes: Annotated[int, Meta(ge=1, description="The largest file that a station may upload")] = 100 * MIB
    token_hours: Annotated[float, Meta(gt=0, description="For how long a station may fetch or bring its file")] = 24.0
    downloads: Annotated[int, Meta(ge=1, le=100, description="Whole downloads that one token allows")] = 1
    silence_minutes: Annotated[float, Meta(gt=0, description="Without a word from the station it has failed")] = 120.0
    wait_days: Annotated[float, Meta(gt=0, description="For how long a deployment waits for a station")] = 30.0
    schemes: Annotated[
        tuple[Literal["https", "ftps", "http", "ftp"], ...], Meta(description="Ways to offer files, the best first")
    ] = ("https", "ftps", "http", "ftp")
    ftp: Annotated[
        Literal["off", "ftp", "ftps", "both"],
        Meta(description="Whether files are also served by FTP, by FTP with explicit TLS, or by both on one port"),
    ] = "off"
    ftp_host: Annotated[str, Meta(description="Address on which FTP listens")] = "127.0.0.1"
    ftp_port: Annotated[Port, Meta(description="Port of FTP; 0 takes a free one")] = 2121
    ftp_public_host: Annotated[
        str, Meta(description="Name or address of this node in FTP URLs; empty: as for HTTP")
    ] = ""
    ftp_passive_ports: Annotated[
        tuple[Port, Port], Meta(description="First and last port for FTP's data; two zeros take free ones")
    ] = (0, 0)
    ftp_certificate: Annotated[str, Meta(description="File (PEM) of the certificate chain for FTPS")] = ""
    ftp_key: Annotated[str, Meta(description="File (PEM) of its private key; empty: in the certificate's file")] = ""
