# SPDX-License-Identifier: Apache-2.0
"""The operator: reconciles Agent, ModelRoute and StorageBinding. See docs/architecture.md for the layers."""
