"""The edges to Pykka and asyncio."""
