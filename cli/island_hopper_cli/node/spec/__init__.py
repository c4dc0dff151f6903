# SPDX-License-Identifier: Apache-2.0
"""Pure: what a pod asks for, in terms of this machine. No I/O, no clock, no asyncio; same pod, same answer."""
