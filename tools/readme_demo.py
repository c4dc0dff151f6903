# SPDX-License-Identifier: Apache-2.0
"""Puts the output of a real demo into the README, between its two marks: `python tools/readme_demo.py`.

Only what goes to standard output is taken; progress stays on the terminal. A demo that fails changes nothing.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BEGIN, END = "<!-- demo:begin -->", "<!-- demo:end -->"


def output_of_a_demo() -> str:
    """Run it without a terminal and without anybody's key, as on a machine that has none."""
    environment = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
    demo = [sys.executable, "-m", "island_hopper_cli", "demo"]
    done = subprocess.run(demo, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def with_output(readme: str, output: str) -> str:
    """The README with its block replaced."""
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{README} lacks the line {BEGIN} or {END}: put them back where the output belongs")
    lines = "\n".join(line.rstrip() for line in output.strip().splitlines())
    return f"{head}{BEGIN}\n```console\n{lines}\n```\n{END}{tail}"


def main() -> None:
    readme = README.read_text(encoding="utf-8")
    README.write_text(with_output(readme, output_of_a_demo()), encoding="utf-8")


if __name__ == "__main__":
    main()
