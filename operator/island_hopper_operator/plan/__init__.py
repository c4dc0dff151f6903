# SPDX-License-Identifier: Apache-2.0
"""What should be there, as pure functions: the same input gives the same plan, byte for byte."""
