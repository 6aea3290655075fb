"""A stranger's https server on this machine, with a certificate made for the occasion."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "hooks.example.com"


@dataclass(frozen=True)
class Got:
    """A request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Stranger:
    """The server: where it listens, what came, and how it answers the next requests (the last
    answer stays).
    """

    port: int = 0
    got: list[Got] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=lambda: [(204, {})])

    def url(self, path: str = "/assay", host: str = HOST) -> str:
        return f"https://{host}:{self.port}{path}"

    def next_answer(self) -> tuple[int, dict[str, str]]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def certificate(folder: Path, host: str = HOST) -> tuple[Path, Path]:
    """A self-made certificate for the host, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return pem, secret


def _context(pem: Path, secret: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    return context


@contextmanager
def listening(pem: Path, secret: Path) -> Iterator[Stranger]:
    """The server, answering properly, until the block ends."""
    stranger = Stranger()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            stranger.got.append(
                Got(
                    self.path,
                    {k.lower(): v for k, v in self.headers.items()},
                    self.rfile.read(length),
                )
            )
            status, headers = stranger.next_answer()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that refuses our certificate hangs up: that is the test

    server = Quiet(("127.0.0.1", 0), Handler)
    server.socket = _context(pem, secret).wrap_socket(server.socket, server_side=True)
    stranger.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield stranger
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextmanager
def misbehaving(pem: Path, secret: Path, behave: Callable[[ssl.SSLSocket], None]) -> Iterator[int]:
    """A server that does with one connection whatever it likes; its port."""
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def run() -> None:
            connection, _ = plain.accept()
            with (
                connection,
                _context(pem, secret).wrap_socket(connection, server_side=True) as speaking,
            ):
                speaking.recv(65_536)
                try:
                    behave(speaking)
                except OSError:
                    return  # the client hung up, as it should

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield plain.getsockname()[1]
        thread.join(5)


def drip(speaking: ssl.SSLSocket) -> None:
    """One byte now and then, for ever."""
    speaking.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(600):
        time.sleep(0.05)
        speaking.sendall(b"x")


def flood(speaking: ssl.SSLSocket) -> None:
    """A head without an end."""
    speaking.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(4000):
        speaking.sendall(b"X-Filler: " + b"x" * 1000 + b"\r\n")
