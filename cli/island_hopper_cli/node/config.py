# SPDX-License-Identifier: Apache-2.0
"""The node's configuration file: one YAML document that says everything.

Keys are camelCase as in Kubernetes; unknown keys are errors. Secrets stand in files of their own, named here, so that
this file can be shown to anyone. `NodeConfig.save` writes what `NodeConfig.load` reads.
"""

from ipaddress import IPv4Network
from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

from island_hopper_cli.node.errors import ConfigInvalid

LOOPBACK = IPv4Network("127.0.0.0/8")
MOST_PODS = 2**16 - 2
"""Addresses of a /16."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class ApiConfig(_Section):
    """How to reach the API server: a kubeconfig, or server, CA and token by themselves."""

    kubeconfig: Path | None = None
    server: str | None = None
    """For example `https://127.0.0.1:6443`."""
    ca_file: Path | None = None
    token_file: Path | None = None

    @model_validator(mode="after")
    def _exactly_one_way(self) -> Self:
        alone = (self.server, self.ca_file, self.token_file)
        if self.kubeconfig is not None and any(alone):
            raise ValueError("give kubeconfig, or server, caFile and tokenFile, not both")
        if self.kubeconfig is None and not all(alone):
            raise ValueError("give kubeconfig, or all of server, caFile and tokenFile")
        return self


class ImageConfig(_Section):
    """What one image reference means on this node."""

    argv: list[str] = Field(min_length=1)
    """Stands for the image's entry point; the container's arguments follow it."""
    env: dict[str, str] = {}
    """Stands for the image's environment; the pod's own wins. Never rewritten by the mount mapping."""


class KubeletConfig(_Section):
    """The HTTPS server that the API server asks for logs."""

    port: int = Field(default=0, ge=0, le=65535)
    """0: any free port; the Node object says which."""
    cert_file: Path | None = None
    """Default: `kubelet.crt` in the state folder. Made when it is missing or near its end."""
    key_file: Path | None = None
    ca_file: Path | None = None
    """The cluster CA; with `ca_key_file` it signs the certificate, else the certificate signs itself."""
    ca_key_file: Path | None = None
    client_ca_file: Path | None = None
    """Clients with a certificate of this CA and one of `client_names` may ask; without it none may by certificate."""
    client_names: list[str] = ["kube-apiserver-kubelet-client"]
    """Common names; the CA alone does not do, since it signs every user's certificate too."""
    token_file: Path | None = None
    """A bearer token that may ask as well."""

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("certFile and keyFile go together")
        if (self.ca_file is None) != (self.ca_key_file is None):
            raise ValueError("caFile and caKeyFile go together")
        return self


class BackoffConfig(_Section):
    """How long a container that ended waits before it is started again."""

    initial_s: float = Field(default=10.0, gt=0)
    """Kubelet's 10 s. The first restart is at once, the second after this long, then it doubles."""
    max_s: float = Field(default=300.0, gt=0)
    """Kubelet's 5 minutes. A container that ran for twice as long starts afresh."""


class LogConfig(_Section):
    """Container logs."""

    max_bytes: int = Field(default=10 * 1024 * 1024, ge=64 * 1024)
    """Size at which a log is rotated (kubelet's default). One rotated file is kept, so a container holds twice this."""


class NodeConfig(_Section):
    """Everything the node needs to know."""

    node_name: str = Field(min_length=1, max_length=63)
    state_dir: Path
    """Pods' folders and logs. Belongs to one node; its content is private to the user."""
    api: ApiConfig
    images: dict[str, ImageConfig] = {}
    pod_network: IPv4Network | None = None
    """A part of 127.0.0.0/8, 127.42.0.0/16 for example. None: a /16 that no other node of this machine uses."""
    kubelet: KubeletConfig = KubeletConfig()
    restart_backoff: BackoffConfig = BackoffConfig()
    logs: LogConfig = LogConfig()
    path: str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    """PATH of containers whose image and pod say nothing else."""
    labels: dict[str, str] = {}
    """Further labels of the Node object."""
    capacity: dict[str, str] = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "5000"}
    """What the scheduler may give away. Generous: requests are not enforced, and a laptop has few cores."""

    @field_validator("pod_network")
    @classmethod
    def _is_loopback(cls, network: IPv4Network | None) -> IPv4Network | None:
        if network is None:
            return None
        if not network.subnet_of(LOOPBACK) or network.prefixlen > 29:
            raise ValueError(f"{network} is no part of 127.0.0.0/8 with room for pods; take 127.42.0.0/16, for example")
        return network

    @model_validator(mode="after")
    def _has_an_address_for_each_pod(self) -> Self:
        pods = int(self.capacity.get("pods", 0))
        room = MOST_PODS if self.pod_network is None else self.pod_network.num_addresses - 2
        if not 0 < pods <= room:
            raise ValueError(f"capacity.pods is {pods}, but the pod network has {room} addresses")
        return self

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file. Raises ConfigInvalid with each wrong key."""
        try:
            document = yaml.safe_load(path.read_text())
            return cls.model_validate(document)
        except OSError as error:
            raise ConfigInvalid(f"cannot read {path}: {error.strerror}") from error
        except yaml.YAMLError as error:
            raise ConfigInvalid(f"{path} is not YAML: {error}") from error
        except ValidationError as error:
            raise ConfigInvalid(f"{path}: {_sentences(error)}") from error

    def save(self, path: Path) -> None:
        """Write the file that `load` reads."""
        document = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        path.write_text(yaml.safe_dump(document, sort_keys=False))


def _sentences(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, item['loc'])) or 'the document'}: {item['msg']}" for item in error.errors())
