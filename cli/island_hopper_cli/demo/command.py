# SPDX-License-Identifier: Apache-2.0
"""`hopper demo`: what is decided before the first step, and what happens after the last one, or instead of it.

Whatever ends the demo, what it made is taken away again, unless --keep was given. A cluster that ran before is left
running, and objects that were there before are left alone.
"""

import argparse
import asyncio
import os
import signal
import sys
from types import FrameType

from island_hopper_cli.demo import belongings, objects, sample
from island_hopper_cli.demo.belongings import Belongings
from island_hopper_cli.demo.walk import Walk
from island_hopper_cli.dev.cluster import DevCluster
from island_hopper_cli.dev.errors import DevError
from island_hopper_cli.dev.paths import ClusterPaths, default_folder
from island_hopper_cli.dev.progress import progress_for
from island_hopper_cli.dev.supervisor.protocol import Health
from island_hopper_cli.errors import CommandError

EXIT_TERMINATED = 128 + signal.SIGTERM


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep", action="store_true", help="leave the cluster and the sample running at the end")


def run(args: argparse.Namespace) -> int:
    if not sys.platform.startswith("linux"):
        raise DevError("the development cluster needs Linux: pods are processes that the kernel ties to their parent")
    signal.signal(signal.SIGTERM, _terminated)
    paths = ClusterPaths(default_folder())
    is_new = not paths.exists()
    paths.claim()
    with belongings.alone(paths), progress_for() as progress:
        mine = Belongings(folder=True) if is_new else Belongings.load(paths)
        mine.save(paths)
        ran_before = _runs(paths)
        # A cluster that is to stay must not end with this process; any other must, even when this one is killed.
        cluster = DevCluster(paths.root, detached=args.keep or ran_before, progress=progress)
        walk = Walk(cluster, progress, mine, openai_key=_openai_key())
        _demonstrate(walk, keep=args.keep, ran_before=ran_before)
    return 0


def _demonstrate(walk: Walk, *, keep: bool, ran_before: bool) -> None:
    try:
        walk.walk()
    except BaseException as error:
        was_interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
        if was_interrupted:
            walk.progress.say("interrupted: cleaning up")
        try:
            _end(walk, keep=keep, ran_before=ran_before, failed=not was_interrupted)
        except CommandError as another:
            # What ended the demo is what the person has to know; this is said beside it.
            walk.progress.say(f"the clean-up did not succeed either: {another}")
        raise
    _end(walk, keep=keep, ran_before=ran_before, failed=False)


def _end(walk: Walk, *, keep: bool, ran_before: bool, failed: bool) -> None:
    if keep:
        _hand_over(walk)
    else:
        _clean_up(walk, ran_before=ran_before, failed=failed)


def _hand_over(walk: Walk) -> None:
    belongings.forget(walk.cluster.paths)
    if _runs(walk.cluster.paths):
        walk.progress.say(
            'The cluster stays, with what was applied. For kubectl and helm:  eval "$(hopper dev env)"\n'
            "To stop it: hopper dev down. To delete it with all its data: hopper dev reset"
        )


def _clean_up(walk: Walk, *, ran_before: bool, failed: bool) -> None:
    """Take away what is ours. After a failure the folder stays, stopped, since its logs are what to look at."""
    cluster, mine, progress = walk.cluster, walk.belongings, walk.progress
    deletes_folder = mine.folder and not ran_before and not failed
    try:
        # With the folder they go too, and quicker.
        if mine.objects and not deletes_folder:
            with progress.step("delete what the demo made"):
                objects.delete(cluster, mine.objects)
            walk.belongings = Belongings(mine.folder)
    finally:
        _leave_cluster(walk, ran_before=ran_before, deletes_folder=deletes_folder)
    if failed and not ran_before:
        progress.say(
            f"The cluster is stopped; its logs stay in {cluster.paths.root / 'logs'} (`hopper dev logs`). "
            "`hopper demo --keep` leaves it running at the step that fails; `hopper dev reset` deletes it"
        )


def _leave_cluster(walk: Walk, *, ran_before: bool, deletes_folder: bool) -> None:
    if deletes_folder:
        asyncio.run(walk.cluster.reset())
        return
    # What could not be deleted stays noted, so that the next demo knows it for its own.
    walk.belongings.save(walk.cluster.paths)
    if ran_before:
        walk.progress.say("The development cluster ran before the demo and is left running")
    else:
        asyncio.run(walk.cluster.down())


def _runs(paths: ClusterPaths) -> bool:
    status = asyncio.run(DevCluster(paths.root).status())
    return any(component.health is not Health.STOPPED for component in status)


def _openai_key() -> str | None:
    """The person's key where they have one and want it used; off a terminal nobody is asked."""
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    if not key or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    print(
        f"OPENAI_API_KEY is set. Let OpenAI's {sample.OPENAI_MODEL} answer in place of the local model? "
        "It costs a fraction of a cent. [y/N] ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    return key if sys.stdin.readline().strip().lower() in ("y", "yes") else None


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM cleans up as Ctrl-C does."""
    raise SystemExit(EXIT_TERMINATED)
