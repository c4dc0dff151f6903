# SPDX-License-Identifier: Apache-2.0
"""Writes the generated YAML: `python -m island_hopper_api.generate ROOT`, where ROOT is the checkout."""

import sys
from pathlib import Path

from island_hopper_api.crd import all_crds, to_yaml

HEADER = "# Generated from island_hopper_api by `make crds`; do not edit.\n"

CHART_FOLDER = Path("helm") / "island-hopper" / "templates" / "crds"


def chart_template(document: str) -> str:
    """The same CRD as a template: CRDs in a chart's `crds/` folder are never upgraded, so they are templates here."""
    annotations = (
        "  annotations:\n"
        "    {{- if .Values.crds.keep }}\n"
        "    helm.sh/resource-policy: keep\n"
        "    {{- end }}\n"
        "    islandhopper.dev/chart: {{ .Chart.Name }}-{{ .Chart.Version }}\n"
    )
    head, rest = document.split("metadata:\n", 1)
    return "{{- if .Values.crds.enabled }}\n" + head + "metadata:\n" + annotations + rest + "{{- end }}\n"


def generated_files() -> dict[Path, str]:
    """Path below the checkout -> content, of every generated file."""
    files: dict[Path, str] = {}
    for name, document in all_crds().items():
        text = to_yaml(document)
        if "{{" in text:
            raise ValueError(f"{name} holds '{{{{', which Helm would read as a template: reword the description")
        files[Path("crds") / name] = HEADER + text
        files[CHART_FOLDER / name] = HEADER + chart_template(text)
    return files


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m island_hopper_api.generate ROOT", file=sys.stderr)  # noqa: T201 - a command speaks so
        return 2
    root = Path(arguments[0])
    for path, content in generated_files().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
