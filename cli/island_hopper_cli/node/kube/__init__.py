# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes API as the node uses it: dictionaries in, dictionaries out; nothing here knows processes."""
