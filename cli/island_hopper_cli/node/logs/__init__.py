# SPDX-License-Identifier: Apache-2.0
"""Container logs: written line by line with their time, rotated, read back as `kubectl logs` asks for them."""
