"""The edges to Pykka, asyncio and ASGI."""
