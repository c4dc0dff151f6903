# SPDX-License-Identifier: Apache-2.0
"""Properties here run without a deadline: how long an example takes says something of the machine, not of the code."""

from hypothesis import settings

settings.register_profile("unit", deadline=None, max_examples=30)
settings.load_profile("unit")
