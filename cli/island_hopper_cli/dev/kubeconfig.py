# SPDX-License-Identifier: Apache-2.0
"""Kubeconfig files: one for the person, one for each part of the control plane, each with rights of its own."""

import base64
from pathlib import Path

import yaml

from island_hopper_cli.dev.files import write_file

CONTEXT = "island-hopper-dev"


def write_kubeconfig(path: Path, *, server: str, authority: Path, user: str, token: str) -> None:
    """Self-contained: the CA is inside, so the file may be copied to wherever a tool wants it."""
    ca = base64.b64encode(authority.read_bytes()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": {"server": server, "certificate-authority-data": ca}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
        "current-context": CONTEXT,
    }
    write_file(path, yaml.safe_dump(config, sort_keys=False))
