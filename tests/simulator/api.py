"""A client of the simulator that keeps everything it gets, down to the bytes."""

import json
import socket
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

KEY = "account.secret"
MODEL = "glm-4-flashx-250414"

FACTS = """You are the assistant of Fjell & Fjord. Answer from the facts only.

# Shop: Fjell & Fjord
# Contact: hello@fjell.example

# Facts about the shop
## Shipping and delivery
We ship from Oslo. Delivery within Norway takes 1–3 working days and costs 59 NOK. To Germany \
and the rest of the EU it takes 4–7 working days and costs 12 EUR. To Switzerland it takes 5–8 \
working days and costs 18 EUR; customs duties may be added. Orders over 150 EUR ship free within \
Europe. Other countries: 25 EUR, 8–14 working days.
## Returns and refunds
You can return any unused item within 30 days. Send it back with the label in the parcel. The \
refund reaches your account within 5 working days after we receive the item.
## Payment
- Visa and Mastercard
- PayPal
- Klarna
## Opening hours and store
Our store at Storgata 12 in Oslo is open Monday to Friday 10–18. On Sundays it is closed.
## Fjell 2 tent
The Fjell 2 is a two-person tent. It weighs 2.4 kg. It costs 349 EUR.
## Storm jacket
The Storm jacket is waterproof. It comes in blue, red and black, sizes XS to XXL. It costs 229 EUR.
The blue one is sold out in size M until December. Wash it at 30 degrees.
## Warranty
All products carry a 2-year warranty.
## Gift cards
Gift cards from 25 to 500 EUR are sent by e-mail at once.
"""


def dialogue(*texts: str, facts: str | None = FACTS, answer: str = "…") -> list[dict[str, Any]]:
    """The customer's texts, with an answer after each but the last."""
    messages: list[dict[str, Any]] = []
    if facts is not None:
        messages.append({"role": "system", "content": facts})
    for number, text in enumerate(texts):
        if number:
            messages.append({"role": "assistant", "content": answer})
        messages.append({"role": "user", "content": text})
    return messages


def question(*texts: str, **fields: Any) -> dict[str, Any]:
    """A request body that asks `texts`; a field given as None is left out."""
    body = {"model": MODEL, "messages": dialogue(*texts or ("hello",)), **fields}
    return {name: value for name, value in body.items() if value is not None}


def code_of(response: httpx.Response) -> str:
    """The provider's error code in a response."""
    return str(response.json()["error"]["code"])


def connect(
    base: str, body: dict[str, Any], simulate: str = "", *, receive_buffer: int | None = None
) -> socket.socket:
    """A connection that has sent a request and reads nothing.

    With `receive_buffer` bytes its kernel soon takes nothing more, either.
    """
    address = urlsplit(base)
    connection = socket.socket()
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.connect((address.hostname, address.port))
    connection.sendall(posted(body, simulate, last=True))
    return connection


def posted(body: dict[str, Any], simulate: str = "", *, last: bool = False) -> bytes:
    """A request's bytes; after the `last` the server closes the connection."""
    content = json.dumps(body).encode()
    return (
        f"POST /chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {KEY}\r\nX-Simulate: {simulate}\r\n"
        f"Connection: {'close' if last else 'keep-alive'}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n".encode()
        + content
    )


def read_out(connection: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    connection.settimeout(20)
    return b"".join(iter(lambda: connection.recv(65536), b""))


@dataclass
class Streamed:
    """A streamed answer: its raw bytes, its events, its chunks."""

    status: int
    headers: httpx.Headers
    raw: bytes
    complete: bool = True  # the body ended as HTTP asks
    lines: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lines = self.raw.decode().splitlines()
        self.data = [line[6:] for line in self.lines if line.startswith("data: ")]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [json.loads(one) for one in self.data if one != "[DONE]"]

    @property
    def text(self) -> str:
        deltas = [choice["delta"] for chunk in self.chunks for choice in chunk.get("choices", ())]
        return "".join(delta.get("content") or "" for delta in deltas)

    @property
    def reasons(self) -> list[str]:
        """Every finish_reason, in order."""
        choices = [choice for chunk in self.chunks for choice in chunk.get("choices", ())]
        return [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]

    @property
    def done(self) -> bool:
        return bool(self.data) and self.data[-1] == "[DONE]"


class Api:
    """The simulator's model API for one key."""

    def __init__(self, base: str, key: str = KEY) -> None:
        self.base = base
        self.client = httpx.Client(
            base_url=base,
            headers={"Authorization": f"Bearer {key}"},
            timeout=20,
            verify=False,  # nothing is encrypted, and reading the authorities takes 30 ms
        )

    def close(self) -> None:
        self.client.close()

    def post(self, body: Any, *, simulate: str = "", path: str = "/api/paas/v4") -> httpx.Response:
        """A request that is answered as a whole."""
        headers = {"X-Simulate": simulate} if simulate else {}
        return self.client.post(f"{path}/chat/completions", json=body, headers=headers)

    def ask(self, *texts: str, simulate: str = "", **fields: Any) -> str:
        """The answer's text."""
        response = self.post(question(*texts, **fields), simulate=simulate)
        assert response.status_code == 200, response.text
        return str(response.json()["choices"][0]["message"]["content"])

    def stream(self, *texts: str, simulate: str = "", **fields: Any) -> Streamed:
        """The streamed answer, as far as it came."""
        headers = {"X-Simulate": simulate} if simulate else {}
        body = question(*texts, stream=True, **fields)
        raw, complete = b"", True
        with self.client.stream("POST", "/chat/completions", json=body, headers=headers) as answer:
            try:
                for piece in answer.iter_raw():
                    raw += piece
            except httpx.RemoteProtocolError:
                complete = False
        return Streamed(answer.status_code, answer.headers, raw, complete)

    def stats(self) -> dict[str, Any]:
        counts: dict[str, Any] = self.client.get("/stats").json()
        return counts
