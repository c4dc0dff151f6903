# SPDX-License-Identifier: Apache-2.0
"""What is reported, as pure functions of what was seen: conditions, the status patch, and when to say nothing."""
