# SPDX-License-Identifier: Apache-2.0
"""The model that Strands sees: one per turn, over the route's shared targets.

Every failure leaves here as a `ModelFailure`, so that neither Strands' own retries nor its handling of a full context
answers in its place, and nobody above needs to know a provider's exceptions.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar

from pydantic import BaseModel
from strands.models import Model
from strands.models.openai import OpenAIModel
from strands.types.content import Messages
from strands.types.streaming import StreamEvent
from strands.types.tools import ToolSpec

from island_hopper_sdk.models.completions import Completion
from island_hopper_sdk.models.deadline import Deadline
from island_hopper_sdk.models.failures import ModelFailure, classify
from island_hopper_sdk.models.observer import CallObserver, CallSummary
from island_hopper_sdk.models.parameters import CallParameters, request_parameters
from island_hopper_sdk.models.route import ModelRouteTable
from island_hopper_sdk.models.target import Target
from island_hopper_sdk.text import valid_text

Output = TypeVar("Output", bound=BaseModel)


class _Call:
    """One call to one target, from its begin to the note of how it ended."""

    def __init__(self, target: Target, wish: CallParameters) -> None:
        self._target = target
        self._deadline = Deadline(target.config.timeouts)
        self._completion = Completion(target.begin_call(), self._deadline)
        own_endpoint = target.config.base_url is None
        self.model = OpenAIModel(
            client=self._completion,
            model_id=target.config.model,
            params=request_parameters(wish, target.config.parameters, own_endpoint=own_endpoint),
        )

    async def end(self, failure: ModelFailure | None, *, canceled: bool) -> CallSummary:
        await self._completion.close()
        await self._target.end_call(failure, canceled=canceled)
        return CallSummary(
            where=self._target.where,
            provider=self._target.config.provider,
            model=self._target.config.model,
            duration_s=self._deadline.elapsed_s,
            first_token_s=self._deadline.first_content_s,
            usage=self._completion.usage,
            finish_reason=self._completion.finish_reason,
            error=failure.error_class if failure else None,
            canceled=canceled,
        )


class RoutedModel(Model):
    """Calls go where the route says; `observer` hears of each."""

    def __init__(self, route: ModelRouteTable, parameters: CallParameters, observer: CallObserver) -> None:
        self._route, self._parameters, self._observer = route, parameters, observer

    def update_config(self, **model_config: Any) -> None:
        """Nothing is configured here: the route is, for all turns alike."""
        if model_config:
            raise TypeError(f"the model's configuration is its ModelRoute; not set here: {', '.join(model_config)}")

    def get_config(self) -> dict[str, Any]:
        return {"model_id": self._route.pick().config.model}

    async def stream(
        self,
        messages: Messages,
        tool_specs: list[ToolSpec] | None = None,
        system_prompt: str | None = None,
        **kwargs: Any,
    ) -> AsyncGenerator[StreamEvent, None]:
        has_tool_use = False
        async with (
            self._calling() as model,
            aclosing(model.stream(messages, tool_specs, system_prompt, **kwargs)) as events,
        ):
            async for event in events:
                has_tool_use = has_tool_use or "toolUse" in event.get("contentBlockStart", {}).get("start", {})
                yield event if has_tool_use else _as_answer(event)

    async def structured_output(
        self, output_model: type[Output], prompt: Messages, system_prompt: str | None = None, **kwargs: Any
    ) -> AsyncGenerator[dict[str, Output | Any], None]:
        async with (
            self._calling() as model,
            aclosing(model.structured_output(output_model, prompt, system_prompt, **kwargs)) as events,
        ):
            async for event in events:
                yield event

    @asynccontextmanager
    async def _calling(self) -> AsyncIterator[OpenAIModel]:
        """The adapter for one call, and whatever ends the call told to target and observer."""
        target = self._route.pick()
        call = _Call(target, self._parameters)
        failure: ModelFailure | None = None
        canceled = True
        try:
            yield call.model
            canceled = False
        # Whatever the adapter raises is the target's failure.
        except Exception as error:
            canceled = False
            failure = ModelFailure(target.where, classify(error))
            raise failure from error
        finally:
            self._observer.call_ended(await call.end(failure, canceled=canceled))


def _as_answer(event: StreamEvent) -> StreamEvent:
    """Text that can be sent and stored, and an answer cut at its token limit as the answer that it is.

    Strands raises at `max_tokens`. For a caller who set the limit it is an answer with the finish reason `length`,
    which the call's summary keeps.
    """
    delta = event.get("contentBlockDelta", {}).get("delta", {})
    if "text" in delta:
        delta["text"] = valid_text(delta["text"])
    stop = event.get("messageStop")
    if stop is not None and stop["stopReason"] == "max_tokens":
        return {"messageStop": {"stopReason": "end_turn"}}
    return event
