# SPDX-License-Identifier: Apache-2.0
"""How long a key waits after a failure: exponential with full jitter, per key, forgotten on success."""

import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field


@dataclass
class Backoff:
    """Full jitter spreads keys that failed together; the floor keeps one of them from trying at once again."""

    base_s: float = 0.5
    limit_s: float = 60.0
    """A backend that is back is noticed within a minute even by the unluckiest key."""
    jitter: Callable[[float, float], float] = random.uniform
    _failures: dict[Hashable, int] = field(default_factory=dict)

    def failed(self, key: Hashable) -> float:
        """Seconds to wait before the next try."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        bound = min(self.limit_s, self.base_s * 2 ** min(failures, 30))
        return self.jitter(bound / 2, bound)

    def succeeded(self, key: Hashable) -> None:
        self._failures.pop(key, None)
