# SPDX-License-Identifier: Apache-2.0
"""What an apply or a driver would change, as pure functions of what is wanted and what is there."""
