"""Parley: self-hosted customer-service chat for storefronts.

The layers, from the inside out: `core` (values and rules), `store` (Redis) and `clients` (httpx),
`flows` (one use case a module), `edge` (ASGI and wiring), `host` (processes); `simulator` stands
alone. ARCHITECTURE.md has the map; tests/test_layers.py keeps the direction of the imports.
"""

__version__ = "0.1.0"
