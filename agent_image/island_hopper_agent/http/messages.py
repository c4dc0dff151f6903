# SPDX-License-Identifier: Apache-2.0
"""A caller's messages: what may be in them, and Strands' form of them.

Instructions are the Agent's own, so a caller's are refused rather than ignored; so is everything else that could not
take effect.
"""

from typing import Any

from strands.types.content import ContentBlock, Message, Messages

from island_hopper_agent.http.errors import ApiError, bad_request

MAX_MESSAGES = 2048

_ALLOWED = frozenset({"role", "content"})


def parse_messages(raw: Any) -> Messages:
    """The messages, the last of which is the user's; raises ApiError."""
    if not isinstance(raw, list) or not raw:
        raise bad_request("invalid_messages", "messages must be a list of at least one message", "messages")
    if len(raw) > MAX_MESSAGES:
        text = f"messages has {len(raw)} entries; at most {MAX_MESSAGES} are taken"
        raise bad_request("invalid_messages", text, "messages")
    messages = [_message(message, f"messages[{index}]") for index, message in enumerate(raw)]
    if messages[-1]["role"] != "user":
        raise bad_request("invalid_messages", "the last message must be the user's", f"messages[{len(raw) - 1}].role")
    return messages


def _message(raw: Any, param: str) -> Message:
    if not isinstance(raw, dict):
        raise bad_request("invalid_messages", f"{param} must be an object with role and content", param)
    match raw.get("role"):
        case "user" | "assistant" as role:
            _refuse_extras(raw, param)
            return {"role": role, "content": _content(raw.get("content"), f"{param}.content")}
        case "system" | "developer":
            raise _no_instructions(param)
        case "tool" | "function":
            text = f"{param} is a tool's result, and this agent takes no tools from its callers: leave it out"
            raise bad_request("unsupported_message", text, f"{param}.role")
    raise bad_request("invalid_messages", f"{param}.role must be user or assistant", f"{param}.role")


def _no_instructions(param: str) -> ApiError:
    text = f"{param} holds instructions, which are the Agent's own: say it as the user, or change spec.instructions"
    return bad_request("client_instructions_not_allowed", text, f"{param}.role")


def _refuse_extras(raw: dict[str, Any], param: str) -> None:
    """Empty ones are what OpenAI's client adds when it gives an answer back."""
    for name, value in raw.items():
        if name not in _ALLOWED and value not in (None, [], {}, ""):
            text = f"{param}.{name} would have no effect here: leave it out"
            raise bad_request("unsupported_message", text, f"{param}.{name}")


def _content(raw: Any, param: str) -> list[ContentBlock]:
    parts = [{"type": "text", "text": raw}] if isinstance(raw, str) else raw
    if not isinstance(parts, list) or not parts:
        raise bad_request("invalid_messages", f"{param} must be text, or a list of text parts", param)
    return [_text(part, f"{param}[{index}]" if parts is raw else param) for index, part in enumerate(parts)]


def _text(part: Any, param: str) -> ContentBlock:
    if not isinstance(part, dict) or part.get("type") != "text":
        raise bad_request("unsupported_content", f"{param} is not text, which is all that this agent takes", param)
    text = part.get("text")
    if not isinstance(text, str) or not text:
        raise bad_request("invalid_messages", f"{param} has no text", param)
    return {"text": text}
