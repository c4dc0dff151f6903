# SPDX-License-Identifier: Apache-2.0
"""The demo's steps, in the order in which they are shown. Each either succeeds or ends the demo with a DemoFailed."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from island_hopper_api.kinds import AGENT, MODEL_ROUTE, STORAGE_BINDING
from island_hopper_cli.ask.asking import Addressee, ask_over_http
from island_hopper_cli.ask.chat import Answer, Question
from island_hopper_cli.ask.kubeconfig import Kubeconfig
from island_hopper_cli.ask.mailbox import ask_over_bus
from island_hopper_cli.demo import evidence, objects, sample
from island_hopper_cli.demo.belongings import Belongings
from island_hopper_cli.demo.errors import DemoFailed
from island_hopper_cli.demo.objects import NAMESPACE
from island_hopper_cli.demo.page import Page, Times
from island_hopper_cli.demo.sample import Sample
from island_hopper_cli.demo.waiting import until_a_pod_answers
from island_hopper_cli.dev.cluster import DevCluster
from island_hopper_cli.dev.install import install
from island_hopper_cli.dev.progress import Progress
from island_hopper_cli.errors import CommandError

READY_WITHIN_S = 180
OUR_KINDS = ",".join(kind.plural for kind in (AGENT, MODEL_ROUTE, STORAGE_BINDING))

QUESTION = "What is the capital of France?"
FOLLOW_UP = "What did I ask about?"
TASK = "What is the capital of Italy?"

LOCAL_MODEL = (
    "The model is SmolLM2 with 135 million parameters, on this machine: it answers simple facts at best.\n"
    "That a session's earlier turns reach it shows in its answers, and in the size of the prompt."
)


@dataclass
class Walk:
    """One demo on one cluster."""

    cluster: DevCluster
    progress: Progress
    belongings: Belongings
    openai_key: str | None = field(default=None, repr=False)
    """Given, OpenAI answers in place of the local model."""
    page: Page = field(default_factory=Page)
    times: Times = field(default_factory=Times)

    def walk(self) -> None:
        """All of it.

        Raises:
            DemoFailed: At the first step that does not succeed.
        """
        self._start()
        chosen = self._apply()
        self._wait(chosen)
        answer = self._ask(chosen)
        self._show(chosen, answer)
        self.page.table("How long it took, in seconds", ("STEP", "SECONDS"), self.times.rows())
        if self.times.first_answer_s is not None:
            self.page.output(f"First answer after {self.times.first_answer_s:.0f} s.")

    def _start(self) -> None:
        with self._step("start the development cluster", "`hopper dev logs`"):
            # Before the event loop: Ctrl-C ends a download or build at once only on the main thread.
            self.cluster.ensure_binaries()
            asyncio.run(self.cluster.up())
        with self._step("install the chart with Helm", "`hopper dev logs operator`"):
            install(self.cluster, self.progress)

    def _apply(self) -> Sample:
        chosen = self._chosen_sample()
        with self._step("apply the sample", "`hopper dev logs kube-apiserver`", shown=True):
            self._note_what_is_new(chosen.references)
            if self.openai_key is not None:
                self._note_what_is_new([f"secrets/{sample.OPENAI_SECRET}"])
                # Server-side, or the key would stand a second time in the annotation of the last applied manifest.
                self.cluster.kubectl("apply", "--server-side", "-f", "-", input=sample.openai_secret(self.openai_key))
            if chosen.is_as_committed:
                applied = self.cluster.kubectl("apply", "-f", str(sample.path()))
            else:
                applied = self.cluster.kubectl("apply", "-f", "-", input=chosen.manifest)
        self.page.command("kubectl", "apply", "-f", sample.PATH if chosen.is_as_committed else "-")
        self.page.output(applied.stdout)
        return chosen

    def _chosen_sample(self) -> Sample:
        committed = sample.quickstart()
        if self.openai_key is not None:
            self.page.say(
                f"OpenAI's {sample.OPENAI_MODEL} answers, with a ModelRoute of its own and your key in a Secret."
            )
            return sample.with_openai(committed)
        self.page.say(LOCAL_MODEL)
        base_url = self.cluster.endpoints.model.base_url
        chosen = sample.with_model_at(committed, base_url)
        if not chosen.is_as_committed:
            self.page.say(f"The port that {sample.PATH} names is taken: it is applied with {base_url} in its place.")
        return chosen

    def _note_what_is_new(self, references: list[str]) -> None:
        new = [reference for reference in references if not objects.exists(self.cluster, reference)]
        self.belongings = self.belongings.with_objects(new)
        self.belongings.save(self.cluster.paths)
        for reference in references:
            if reference not in self.belongings.objects:
                self.progress.say(f"{reference} was there already: it is updated, and stays")

    def _wait(self, chosen: Sample) -> None:
        arguments = ("wait", "--for=condition=Ready", *chosen.references, f"--timeout={READY_WITHIN_S}s")
        with self._step("wait until all are Ready", "`hopper dev logs operator`, and the conditions above", shown=True):
            waited = self.cluster.kubectl(
                *arguments, check=False, timeout_s=READY_WITHIN_S * len(chosen.documents) + 30
            )
            if waited.returncode != 0:
                raise CommandError(f"not everything became Ready: {self._why_not_ready(chosen)}")
            until_a_pod_answers(self.cluster, chosen.agent)
        self.page.command("kubectl", *arguments)
        self.page.output(waited.stdout)
        self.page.command("kubectl", "get", OUR_KINDS)
        self.page.output(self.cluster.kubectl("get", OUR_KINDS).stdout)

    def _why_not_ready(self, chosen: Sample) -> str:
        """The Ready condition of each, in its own words."""
        found = self.cluster.kubectl("get", *chosen.references, "-o", "json", check=False)
        try:
            items = json.loads(found.stdout)["items"]
        except (ValueError, KeyError):
            return found.stderr.strip()
        said = []
        for item in items:
            conditions = (item.get("status") or {}).get("conditions") or []
            ready = next((each for each in conditions if each["type"] == "Ready"), None)
            if ready is None or ready["status"] != "True":
                what = f"{ready['reason']}, {ready['message']}" if ready else "no condition yet"
                said.append(f"{item['kind']} {item['metadata']['name']}: {what}")
        return "; ".join(said) or "all are Ready by now, but were not in time"

    def _ask(self, chosen: Sample) -> Answer:
        hint = f"`kubectl logs deployment/{chosen.agent}`, `hopper dev logs model`"
        to = Addressee(chosen.agent, NAMESPACE, Kubeconfig(str(self.cluster.kubeconfig)))
        with self._step("ask over HTTP", hint, shown=True):
            first = asyncio.run(ask_over_http(to, Question(QUESTION), self.progress.say))
        self.times.answered()
        self._print_answer(to, QUESTION, first)
        if first.session is None:
            raise DemoFailed("ask over HTTP", "the answer names no session to go on with", hint)
        with self._step("ask again in the same session", hint, shown=True):
            second = asyncio.run(ask_over_http(to, Question(FOLLOW_UP, first.session), self.progress.say))
        self._print_answer(to, FOLLOW_UP, second, "--session", first.session)
        with self._step("ask over the bus", f"{hint}, `hopper dev logs nats`", shown=True):
            third = asyncio.run(ask_over_bus(to, Question(TASK), self.progress.say))
        self._print_answer(to, TASK, third, "--bus")
        return second

    def _print_answer(self, to: Addressee, question: str, answer: Answer, *options: str) -> None:
        self.page.command("hopper", "ask", to.agent, question, *options)
        self.page.output(answer.text.strip())
        facts = [f"session {answer.session}"] if answer.session else []
        if "prompt_tokens" in answer.usage:
            facts.append(f"{answer.usage['prompt_tokens']} tokens of prompt")
        if facts:
            self.page.output(f"({', '.join(facts)})")

    def _show(self, chosen: Sample, answer: Answer) -> None:
        with self._step("look at what exists now", "`hopper dev status`", shown=True):
            found = evidence.gather(self.cluster, chosen.agent, chosen.binding, answer.session or "")
        self.page.table(
            f"PostgreSQL, the session's messages in schema {found.schema}", ("ROLE", "TEXT"), found.messages
        )
        self.page.table("… and its tables", ("TABLE", "ROWS"), found.tables)
        self.page.table("NATS, the Agent's streams", ("STREAM", "SUBJECTS", "MESSAGES", "TASKS"), found.streams)
        self.page.table("S3, the binding's bucket", ("BUCKET", "OBJECTS", "CREDENTIALS"), found.buckets)

    @contextmanager
    def _step(self, title: str, look_at: str, *, shown: bool = False) -> Iterator[None]:
        """Time a step, and turn what it raises into a DemoFailed.

        Args:
            look_at: what a person would look at when it fails.
            shown: it shows no progress of its own, so it gets a line.
        """
        try:
            with self.times.measured(title):
                if shown:
                    with self.progress.step(title):
                        yield
                else:
                    yield
        except DemoFailed:
            raise
        except (CommandError, subprocess.TimeoutExpired, OSError) as error:
            raise DemoFailed(title, str(error), look_at) from error
