"""Tools, resources and prompts that answer at once, with each kind of content."""

import base64
import struct
import zlib

from fastmcp import Context
from fastmcp.exceptions import ToolError
from fastmcp.prompts import Message
from fastmcp.server.providers import LocalProvider
from fastmcp.tools import ToolResult
from mcp.types import (
    AudioContent,
    CompletionArgument,
    CompletionContext,
    EmbeddedResource,
    ImageContent,
    PromptReference,
    ResourceTemplateReference,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)

# Without `from __future__ import annotations`: FastMCP does not look up the names in annotations of prompts.


def register(server: LocalProvider) -> None:
    """Adds them."""
    for tool in (simple_text, image, audio, embedded, mixed, logging, progress, error, sampling, elicitation):
        server.tool(tool, name=f"test_{NAMES.get(tool.__name__, tool.__name__)}")
    server.tool(logging, name="test_logging_tool")
    for name in ("elicitation_sep1034_defaults", "elicitation_sep1330_enums"):
        server.tool(elicitation, name=f"test_{name}")
    server.resource("test://static-text", mime_type="text/plain")(static_text)
    server.resource("test://static-binary", mime_type="image/png")(static_binary)
    server.resource("test://template/{id}/data", mime_type="application/json")(template)
    for prompt in (simple_prompt, prompt_with_arguments, prompt_with_embedded_resource, prompt_with_image):
        server.prompt(prompt, name=f"test_{prompt.__name__}")


NAMES = {
    "image": "image_content",
    "audio": "audio_content",
    "embedded": "embedded_resource",
    "mixed": "multiple_content_types",
    "logging": "tool_with_logging",
    "progress": "tool_with_progress",
    "error": "error_handling",
}


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(b"\0\xff\0\0"))
    + _chunk(b"IEND", b"")
)
WAV = b"RIFF$\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8) + b"data\0\0\0\0"

IMAGE = ImageContent(data=base64.b64encode(PNG).decode(), mime_type="image/png")


def _resource(uri: str, text: str, mime_type: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


async def simple_text() -> ToolResult:
    """Answer with text."""
    return ToolResult(content=[TextContent(text="This is a simple text response for testing.")])


async def image() -> ToolResult:
    """Answer with an image."""
    return ToolResult(content=[IMAGE])


async def audio() -> ToolResult:
    """Answer with sound."""
    return ToolResult(content=[AudioContent(data=base64.b64encode(WAV).decode(), mime_type="audio/wav")])


async def embedded() -> ToolResult:
    """Answer with a resource."""
    return ToolResult(content=[_resource("test://embedded-resource", "This is an embedded resource content.")])


async def mixed() -> ToolResult:
    """Answer with several kinds of content."""
    resource = _resource("test://mixed-content-resource", '{"test":"data","value":123}', "application/json")
    return ToolResult(content=[TextContent(text="Multiple content types test:"), IMAGE, resource])


async def logging(context: Context) -> ToolResult:
    """Write to the client's log on the way."""
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await context.info(text)
    return ToolResult(content=[TextContent(text="Logged.")])


async def progress(context: Context) -> ToolResult:
    """Report progress on the way."""
    for percent in (0, 50, 100):
        await context.report_progress(percent, 100)
    return ToolResult(content=[TextContent(text="Done.")])


async def error() -> ToolResult:
    """Fail."""
    raise ToolError("This tool intentionally returns an error for testing")


async def sampling(context: Context, prompt: str) -> ToolResult:
    """Have the client's model answer."""
    message = SamplingMessage(role="user", content=TextContent(text=prompt))
    answer = await context.session.create_message(  # pyright: ignore[reportDeprecated] - not in the older protocols
        [message], max_tokens=100
    )
    return ToolResult(content=[TextContent(text=f"LLM response: {answer.content}")])


async def elicitation(context: Context, message: str = "Who are you?") -> ToolResult:
    """Ask the person, on the connection of this call."""
    schema = {"type": "object", "properties": {"username": {"type": "string"}}, "required": ["username"]}
    answer = await context.session.elicit(message, schema)
    return ToolResult(content=[TextContent(text=f"User response: {answer.action} {answer.content}")])


def static_text() -> str:
    """A text."""
    return "This is the content of the static text resource."


def static_binary() -> bytes:
    """Some bytes."""
    return PNG


def template(id: str) -> str:  # noqa: A002 - the suite's name
    """One of many texts."""
    return f'{{"id":"{id}","templateTest":true,"data":"Data for ID: {id}"}}'


def simple_prompt() -> str:
    """A prompt."""
    return "This is a simple prompt for testing."


def prompt_with_arguments(arg1: str, arg2: str) -> str:
    """A prompt with arguments."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


def prompt_with_embedded_resource(resourceUri: str) -> list[Message]:  # noqa: N803 - the suite's name
    """A prompt with a resource in it."""
    return [
        Message(_resource(resourceUri, "Embedded resource content for testing.")),
        Message("Please process the embedded resource above."),
    ]


def prompt_with_image() -> list[Message]:
    """A prompt with an image in it."""
    return [Message(IMAGE), Message("Please analyze the image above.")]


def completed(
    reference: PromptReference | ResourceTemplateReference,
    argument: CompletionArgument,
    context: CompletionContext | None,
) -> list[str]:
    """Completions of the prompt with arguments."""
    if isinstance(reference, PromptReference) and reference.name == "test_prompt_with_arguments":
        return [value for value in ("paris", "park", "party") if value.startswith(argument.value)]
    return []
