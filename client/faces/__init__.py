"""The two faces of the package, one that blocks and one for asyncio, and what they share."""
