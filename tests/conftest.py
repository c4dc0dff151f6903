# SPDX-License-Identifier: Apache-2.0
"""Fixtures for every tier."""

pytest_plugins = ["backend_fixtures"]
