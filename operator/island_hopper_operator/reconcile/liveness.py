# SPDX-License-Identifier: Apache-2.0
"""Is the owner that a mark names alive? Asked before anything that bears another's mark is taken over."""

from collections.abc import Callable

from island_hopper_operator.engine.store import Key, Store
from island_hopper_operator.externals import Mark


class Liveness:
    """Answers from the store, which holds every object of our kinds once the first lists are through."""

    def __init__(self, store: Store, cluster_id: str) -> None:
        self._store, self._cluster_id = store, cluster_id

    def of(self, kind: str) -> Callable[[Mark], bool]:
        def is_alive(mark: Mark) -> bool:
            if mark.cluster_id != self._cluster_id:
                # Another cluster's objects cannot be seen from here: they count as alive.
                return True
            body = self._store.get(Key(kind, mark.namespace, mark.name))
            return body is not None and body["metadata"]["uid"] == mark.uid

        return is_alive
