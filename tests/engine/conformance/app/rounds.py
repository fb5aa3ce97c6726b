"""Tools and a prompt that need the client's answers, over several requests."""

from typing import Any

from fastmcp import Context
from fastmcp.server.providers import LocalProvider
from fastmcp.tools import ToolResult
from mcp.shared.exceptions import MCPError
from mcp.types import (
    ClientCapabilities,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingCapability,
    SamplingMessage,
    TextContent,
)
from mcp_types.jsonrpc import MISSING_REQUIRED_CLIENT_CAPABILITY

# Without `from __future__ import annotations`: FastMCP does not look up the names in annotations of prompts.

SAMPLING = ClientCapabilities(sampling=SamplingCapability())


def register(server: LocalProvider) -> None:
    """Adds them."""
    tools = (
        elicitation,
        sampling,
        list_roots,
        request_state,
        multiple_inputs,
        multi_round,
        tampered_state,
        capabilities,
    )
    for tool in tools:
        server.tool(tool, name=f"test_input_required_result_{tool.__name__}")
    server.tool(elicitation, name="test_streaming_elicitation")
    server.tool(missing_capability, name="test_missing_capability")
    server.prompt(prompt, name="test_input_required_result_prompt")


def _form(message: str, field: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(text: str, max_tokens: int) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=max_tokens))


def _filled_in(context: Context, name: str, field: str) -> object | None:
    """What the person wrote into the form, or None when there is no such answer."""
    answer = (context.input_responses or {}).get(name)
    if not isinstance(answer, ElicitResult) or answer.action != "accept":
        return None
    return (answer.content or {}).get(field)


def _text(text: str) -> ToolResult:
    return ToolResult(content=[TextContent(text=text)])


async def elicitation(context: Context) -> ToolResult | InputRequiredResult:
    """Greet whoever answers."""
    name = _filled_in(context, "user_name", "name")
    if not isinstance(name, str):
        return InputRequiredResult(input_requests={"user_name": _form("What is your name?", "name")})
    return _text(f"Hello, {name}!")


async def sampling(context: Context) -> ToolResult | InputRequiredResult:
    """Have the client's model answer."""
    answer = (context.input_responses or {}).get("capital_question")
    if not isinstance(answer, CreateMessageResult):
        return InputRequiredResult(input_requests={"capital_question": _sample("What is the capital of France?", 100)})
    return _text(f"The model says: {answer.content}")


async def list_roots(context: Context) -> ToolResult | InputRequiredResult:
    """Name the client's roots."""
    answer = (context.input_responses or {}).get("client_roots")
    if not isinstance(answer, ListRootsResult):
        return InputRequiredResult(input_requests={"client_roots": ListRootsRequest()})
    return _text(", ".join(str(root.uri) for root in answer.roots))


async def request_state(context: Context) -> ToolResult | InputRequiredResult:
    """See the state again."""
    if context.request_state is None or _filled_in(context, "confirm", "ok") is None:
        return InputRequiredResult(
            input_requests={"confirm": _form("Please confirm", "ok", "boolean")}, request_state="kept"
        )
    return _text("state-ok" if context.request_state == "kept" else "another state")


async def multiple_inputs(context: Context) -> ToolResult | InputRequiredResult:
    """Ask three things at once."""
    asked = {
        "user_name": _form("What is your name?", "name"),
        "greeting": _sample("Generate a greeting", 50),
        "client_roots": ListRootsRequest(),
    }
    if not asked.keys() <= (context.input_responses or {}).keys():
        return InputRequiredResult(input_requests=asked, request_state="asked")
    return _text("All three were answered.")


async def multi_round(context: Context) -> ToolResult | InputRequiredResult:
    """Ask one thing after another."""
    if (color := _filled_in(context, "step2", "color")) is not None:
        return _text(f"{context.request_state} likes {color}.")
    if (name := _filled_in(context, "step1", "name")) is not None:
        question = _form("Step 2: What is your favorite color?", "color")
        return InputRequiredResult(input_requests={"step2": question}, request_state=str(name))
    question = _form("Step 1: What is your name?", "name")
    return InputRequiredResult(input_requests={"step1": question}, request_state="nobody")


async def tampered_state(context: Context) -> ToolResult | InputRequiredResult:
    """Rely on the state."""
    return await request_state(context)


async def capabilities(context: Context) -> InputRequiredResult | ToolResult:
    """Ask for what the client can do alone."""
    if context.session.check_client_capability(SAMPLING):
        return InputRequiredResult(input_requests={"sample": _sample("Say something", 10)})
    return InputRequiredResult(input_requests={"name": _form("What is your name?", "name")})


async def missing_capability(context: Context) -> ToolResult:
    """Need a client that can sample."""
    if not context.session.check_client_capability(SAMPLING):
        data: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(code=MISSING_REQUIRED_CLIENT_CAPABILITY, message="This tool needs sampling.", data=data)
    return _text("The client can sample.")


async def prompt(context: Context) -> str | InputRequiredResult:
    """A prompt that asks for its context."""
    answer = _filled_in(context, "user_context", "context")
    if not isinstance(answer, str):
        question = _form("What context should the prompt use?", "context")
        return InputRequiredResult(input_requests={"user_context": question})
    return f"Use this context: {answer}"
