# SPDX-License-Identifier: Apache-2.0
"""Models on a route: one call goes to one target, within its time limits, and ends in an answer or a ModelFailure."""

from island_hopper_sdk.models.failures import ModelFailure
from island_hopper_sdk.models.observer import CallSummary, Usage
from island_hopper_sdk.models.parameters import CallParameters
from island_hopper_sdk.models.route import ModelRouteTable
from island_hopper_sdk.models.routed import RoutedModel

__all__ = ["CallParameters", "CallSummary", "ModelFailure", "ModelRouteTable", "RoutedModel", "Usage"]
