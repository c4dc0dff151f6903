# SPDX-License-Identifier: Apache-2.0
"""README and docs against a real cluster: each manifest is taken, each command that is marked to be run works."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from doc_blocks import Manifest, manifests, runnable
from kube import Kube

from island_hopper_cli.dev.binaries import BinaryCache
from island_hopper_cli.dev.checkout import resource
from island_hopper_cli.dev.cluster import DevCluster
from island_hopper_cli.dev.progress import Progress


@pytest.mark.parametrize("manifest", manifests(), ids=lambda manifest: manifest.place)
def test_a_manifest_of_the_docs_is_taken(kube: Kube, namespace: str, manifest: Manifest) -> None:
    text = yaml.safe_dump(manifest.body)
    kube.kubectl("apply", "-n", namespace, "--dry-run=server", "--validate=strict", "-f", "-", text=text)


@pytest.mark.timeout(240)
def test_the_commands_of_the_docs_work(kube: Kube, dev_cluster: DevCluster) -> None:
    sample = Path(resource("manifests/samples/quickstart.yaml")).read_text()
    sample = re.sub(r"http://127\.0\.0\.1:11435/v1", dev_cluster.endpoints.model.base_url, sample)
    kube.kubectl("apply", "-n", "default", "-f", "-", text=sample)
    kube.kubectl("wait", "--for=condition=Ready", "agent/support", "-n", "default", "--timeout=60s")
    programs = BinaryCache.default().ensure(["kubectl", "helm"], Progress())
    path = os.pathsep.join([str(Path(sys.executable).parent), str(programs), os.environ["PATH"]])
    environment = os.environ | {
        "KUBECONFIG": str(dev_cluster.kubeconfig),
        "HOPPER_DEV_DIR": str(dev_cluster.paths.root),
        "PATH": path,
    }
    try:
        for command in runnable():
            done = subprocess.run(
                command.words,
                cwd=Path(resource("manifests")).parent,
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, f"{command.place}: {command.text}\n{done.stdout}{done.stderr}"
    finally:
        kube.kubectl("delete", "agents,modelroutes,storagebindings", "--all", "-n", "default", "--timeout=60s")
