# SPDX-License-Identifier: Apache-2.0
"""Mount paths rewritten to the real folders, since there is no mount namespace to make them true.

A mount path is found in environment values, commands and arguments where it stands as a path of its own: at the
start, or after something that cannot belong to a path (`=`, `:`, a quote, a space, the `://` of a URL without a
host), and up to its end or a `/`. So `--config=/etc/app/x.yaml`, `/a:/etc/app` and `open('/etc/app/x')` are
rewritten; `/srv/etc/app`, `/etc/app2` and `http://host/etc/app` are not. Files' contents are never touched.

A folder that only holds mounts (`/etc/app` where `/etc/app/config` and `/etc/app/keys` are mounted) is rewritten where
it stands alone; what else lies below it in the image is not there to be found.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath


def rewriter(mounts: Mapping[str, Path], holders: Mapping[str, Path] | None = None) -> Callable[[str], str]:
    """A function that rewrites every mount path in a text; the longest one wins where one lies in another.

    Args:
        mounts: mount path in the container -> folder or file on this machine.
        holders: folders above mount paths, rewritten only where nothing follows them.
    """
    real = {_normal(path): str(folder) for path, folder in mounts.items()}
    above = {_normal(path): str(folder) for path, folder in (holders or {}).items() if _normal(path) not in real}
    if not real:
        return lambda text: text
    below = rf"({_alternatives(real)})(?=/|$|[^\w.@%+-])"
    alone = rf"({_alternatives(above)})(?=$|[^\w./@%+-])" if above else r"(?!)()"
    pattern = re.compile(rf"(?:(?<![\w./~@%+}})-])|(?<=://))(?:{below}|{alone})")
    return lambda text: pattern.sub(lambda match: real[match[1]] if match[1] else above[match[2]], text)


def holders(paths: Iterable[str]) -> set[str]:
    """Folders above the paths, without the root and its own (`/etc`, `/var`), which hold far more than mounts."""
    found = {str(parent) for path in paths for parent in PurePosixPath(_normal(path)).parents}
    return {path for path in found if path.count("/") > 1}


def _alternatives(paths: Iterable[str]) -> str:
    return "|".join(re.escape(path) for path in sorted(paths, key=len, reverse=True))


def _normal(path: str) -> str:
    return "/" + path.strip("/")
