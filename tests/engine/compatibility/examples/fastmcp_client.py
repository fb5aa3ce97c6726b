import asyncio

from fastmcp import Client


async def main() -> None:
    async with Client("https://mcp.contoso.com/mcp", auth="oauth") as client:
        print((await client.call_tool("whoami")).structured_content)


asyncio.run(main())
