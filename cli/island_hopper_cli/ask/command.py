# SPDX-License-Identifier: Apache-2.0
"""`hopper ask AGENT "question"`: the answer on standard output, everything else on standard error."""

import argparse
import asyncio
import shlex
import sys

from island_hopper_cli.ask.asking import Addressee, ask_over_http
from island_hopper_cli.ask.chat import Answer, Question
from island_hopper_cli.ask.errors import AskError
from island_hopper_cli.ask.kubeconfig import choose, context_namespace
from island_hopper_cli.ask.text import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", metavar="AGENT", help="name of the Agent")
    parser.add_argument("question", metavar="QUESTION", help="what to ask, as one argument")
    parser.add_argument("-n", "--namespace", metavar="NS", help="namespace of the Agent; default: the context's")
    parser.add_argument("--context", help="context of the kubeconfig; default: the current one")
    parser.add_argument("--session", metavar="ID", help="go on with this session; default: a new one")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--stream", action="store_true", help="print the answer as it comes")
    way.add_argument("--bus", action="store_true", help="send it as a task over the bus instead of HTTP")


def run(args: argparse.Namespace) -> int:
    kubeconfig = choose(args.context)
    if kubeconfig.notice:
        _tell(kubeconfig.notice)
    to = Addressee(args.agent, args.namespace or context_namespace(kubeconfig), kubeconfig)
    question = Question(args.question, args.session)
    if args.bus:
        # Imported here: over HTTP nothing of the bus is needed.
        from island_hopper_cli.ask.mailbox import ask_over_bus

        answer = asyncio.run(ask_over_bus(to, question, _tell))
        print(_shown(answer.text))
    elif args.stream:
        answer = _streamed(to, question)
    else:
        answer = asyncio.run(ask_over_http(to, question, _tell))
        print(_shown(answer.text))
    _tell_session(args, answer)
    return 0


def _streamed(to: Addressee, question: Question) -> Answer:
    written = False

    def write(piece: str) -> None:
        nonlocal written
        written = True
        print(_shown(piece), end="", flush=True)

    try:
        answer = asyncio.run(ask_over_http(to, question, _tell, write))
    except (AskError, KeyboardInterrupt):
        if written:
            print(flush=True)  # what is said next begins on a line of its own
        raise
    print()
    return answer


def _tell_session(args: argparse.Namespace, answer: Answer) -> None:
    if answer.session is None:
        return
    # An id may begin with a hyphen, which would read as an option.
    session = [f"--session={answer.session}"] if answer.session.startswith("-") else ["--session", answer.session]
    again = ["hopper", "ask", args.agent, "…", *session]
    again += ["-n", args.namespace] if args.namespace else []
    again += ["--context", args.context] if args.context else []
    again += ["--bus"] if args.bus else []
    sys.stdout.flush()
    _tell(f"session: {answer.session}   (to go on: {shlex.join(again)})")


def _shown(text: str) -> str:
    return printable(text) if sys.stdout.isatty() else text


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
