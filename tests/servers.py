"""Real servers beside the tests: Redis, nginx, several API processes. Each on a free port, ended by the test."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent


def until(condition: Callable[[], Any], seconds: float = 90.0) -> Any:
    """Wait until the condition holds, and return what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
    return found


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program(name: str, package: str) -> str:
    """Where a server program is. The test is skipped without it, and fails where everything must be tested."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        _missing(f"{name} was not found: install the package {package}")
    return str(found)


def wait_until_listening(port: int, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    """Return when somebody accepts connections on the port."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
            assert time.monotonic() < deadline, f"nobody listens on {port} after {seconds} s"
            time.sleep(0.02)


def end(process: subprocess.Popen[bytes], sign: signal.Signals = signal.SIGTERM) -> int:
    """End a process and wait for it."""
    if process.poll() is None:
        process.send_signal(sign)
    try:
        return process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """A Redis server of the test's own; its address."""
    command = program("redis-server", "redis-server")
    port = free_port()
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = subprocess.Popen([command, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_listening(port, process)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        end(process)


@dataclass
class Api:
    """One `tradewright api` process."""

    folder: Path
    environment: dict[str, str]
    port: int = 0

    def start(self) -> Api:
        self.port = self.port or free_port()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TRADEWRIGHT_")} | self.environment
        command = [sys.executable, "-m", "tradewright", "api", "--data-folder", str(self.folder)]
        with open(self.folder.parent / f"api-{self.port}.log", "ab") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)], stdout=log, stderr=log, env=environment, cwd=self.folder.parent
            )
        return self

    def wait(self) -> Api:
        wait_until_listening(self.port, self.process)
        return self

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        end(self.process, sign)


@contextmanager
def api_processes(folder: Path, count: int, **settings: str) -> Iterator[list[Api]]:
    """Several API processes on one folder and database. settings: by name, as in the settings file."""
    environment = {f"TRADEWRIGHT_{name.upper()}": value for name, value in settings.items()}
    started = [Api(folder, environment).start() for _ in range(count)]
    try:
        yield [one.wait() for one in started]
    finally:
        for one in started:
            one.stop()


@dataclass
class Gateway:
    """A running nginx with the configuration that is shipped."""

    http_port: int
    https_port: int
    certificate: Path
    folder: Path

    @property
    def address(self) -> str:
        return f"https://localhost:{self.https_port}"


def has_ipv6() -> bool:
    """Whether this machine can listen on its own IPv6 address."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@contextmanager
def gateway(
    folder: Path, api_ports: list[int], flood_rate: str = "200r/s", flood_burst: str = "400"
) -> Iterator[Gateway]:
    """nginx from its package in front of API processes, with a certificate of the test's own for localhost."""
    command = program("nginx", "nginx-light")
    folder.mkdir(exist_ok=True)
    certificate, key = _certificate(folder)
    ports = free_port(), free_port()
    servers = " ".join(f"server 127.0.0.1:{port} max_fails=2 fail_timeout=2s;" for port in api_ports)
    template = (ROOT / "deploy/nginx/tradewright.conf.template").read_text()
    for name, value in {
        "SERVER_NAME": "localhost", "TLS_CERTIFICATE": str(certificate), "TLS_KEY": str(key),
        "HTTP_PORT": str(ports[0]), "HTTPS_PORT": str(ports[1]), "API_SERVERS": servers,
        "FLOOD_RATE": flood_rate, "FLOOD_BURST": flood_burst,
    }.items():  # fmt: skip
        template = template.replace("${" + name + "}", value)
    if not has_ipv6():
        template = re.sub(r" *listen \[::\].*\n", "", template)
    site = template.replace("/var/log/nginx/", f"{folder}/")
    (folder / "site.conf").write_text(site)
    (folder / "nginx.conf").write_text(_MAIN.substitute(folder=folder, module=_headers_more(), user=_USER))
    process = subprocess.Popen(
        [command, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    )
    try:
        wait_until_listening(ports[1], process)
        yield Gateway(*ports, certificate, folder)
    finally:
        end(process)


def _headers_more() -> Path:
    places = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules")
    modules = [Path(place) / "ngx_http_headers_more_filter_module.so" for place in places]
    found = next((module for module in modules if module.exists()), None)
    if found is None:
        _missing("nginx lacks headers-more: install the package libnginx-mod-http-headers-more-filter")
    return found


def _missing(text: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)


_USER = "user root;" if os.geteuid() == 0 else ""  # the folders of a test are its own user's
_MAIN = Template("""
daemon off;
$user
pid $folder/nginx.pid;
worker_processes 1;
load_module $module;
events { worker_connections 4096; }
http {
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
    include $folder/site.conf;
}
""")


def _certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "tls.pem", folder / "tls.key"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([program("openssl", "openssl"), *kind, *subject, *files], check=True, capture_output=True)
    return certificate, key
