"""A server that speaks just enough of the wire to look at the widget: one process, no state but a list.

`python widget/test/mock_server.py [PORT]` serves the built files, a panel, and two shop pages: `/` and
`/strict`, which has the strictest policy a shop can have. What the assistant does follows the customer's
words: "queue" waits with its place shown, "table" and "code" show marks, "slow" takes its time, "fail"
and "cut" end badly, "error" is refused, "drop" loses the socket in mid-answer, "hold" never ends.
"""

from __future__ import annotations

import asyncio
import html
import itertools
import json
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

ASSETS = Path(__file__).resolve().parents[2] / "service/edge/assets"
SITE, NAME, CONTACT = "pk_demo", "Nordlicht Outdoor", "help@nordlicht.example"

PANEL_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {ws}; img-src 'self'; "
    "font-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
SHOP = """<!doctype html><html lang="{lang}" dir="{dir}"><head><meta charset="utf-8"><title>Shop</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head><body>
<h1>A shop</h1><p>Tents, bags and stoves.</p><p><a href="/">Home</a></p>
<script{nonce} async src="{origin}/widget.js" data-site="pk_demo" {extra}></script></body></html>"""

PLAIN = (
    "Yes, we ship to Norway. Delivery takes **3 to 5 working days** and costs $12, or nothing above $120.\n\n"
    "- Orders placed before 14:00 leave the same day\n- You get a tracking link by e-mail\n"
    "- Returns are free within *30 days*\n\nSee [shipping](https://shop.example/shipping) for item SKU_AB_12."
)
ARABIC = (
    "نعم، نشحن إلى النرويج. يستغرق التوصيل **من 3 إلى 5 أيام عمل** ويكلف 12 دولارًا.\n\n"
    "- تُرسل الطلبات قبل الساعة 14:00 في اليوم نفسه\n- الإرجاع مجاني خلال *30 يومًا*"
)
CHINESE = "可以的，我们配送到挪威。\n\n- 配送需要 **3 到 5 个工作日**\n- 满 $120 免运费\n- 30 天内可免费退货"
TABLE = (
    "Here is how they compare:\n\n| Tent | Weight | Persons | Price |\n|---|---|---|---|\n"
    "| Fjell 2 | 1.9 kg | 2 | $249 |\n| Fjell 3 | 2.4 kg | 3 | $299 |\n\nThe *Fjell 2* is the lighter one."
)
CODE = "Use this code:\n\n```\nWELCOME_10_NOW\n```\n\nor `SAVE_5`, then [check out](https://shop.example/cart)."


def answer_to(text: str) -> str:
    if "table" in text:
        return TABLE
    if "code" in text:
        return CODE
    if any("\u0600" <= char <= "\u06ff" for char in text):
        return ARABIC
    return CHINESE if any("\u4e00" <= char <= "\u9fff" for char in text) else PLAIN


class Conversation:
    """One log and the sockets that read it."""

    def __init__(self) -> None:
        self.log: list[dict[str, Any]] = []
        self.messages: dict[int, dict[str, Any]] = {}
        self.sockets: set[WebSocket] = set()
        self.acks: dict[str, dict[str, Any]] = {}
        self.queue: list[int] = []
        self.open: int | None = None
        self.stopping = False
        self.tasks: set[asyncio.Task[None]] = set()

    @property
    def pos(self) -> list[Any]:
        return ["e1", len(self.log)]

    async def show(self, frame: dict[str, Any], logged: bool = True) -> None:
        if logged:
            frame = {**frame, "o": len(self.log) + 1}
            self.log.append(frame)
        for socket in list(self.sockets):
            try:
                await socket.send_text(json.dumps(frame))
            except (RuntimeError, WebSocketDisconnect):
                self.sockets.discard(socket)

    async def say(self, author: str, text: str, **more: Any) -> int:
        m = len(self.messages) + 1
        message = {"m": m, "author": author, "text": text, "time": int(time.time() * 1000), **more}
        self.messages[m] = {**message, "r": 0, "done": True}
        await self.show({"type": "message.created", "message": message})
        return m

    def snapshot(self) -> dict[str, Any]:
        messages = list(self.messages.values())
        return {
            "type": "snapshot",
            "pos": self.pos,
            "status": "assisted",
            "messages": messages[-50:],
            "more": len(messages) > 50,
        }

    async def turn(self, answers: list[int], replaces: int | None = None) -> None:
        text = self.messages[answers[-1]]["text"].lower()
        m = len(self.messages) + 1
        answer = {"m": m, "author": "assistant", "text": "", "r": 0, "done": False, "answers": answers}
        self.messages[m], self.open, self.stopping = answer, m, False
        started = {"type": "answer.started", "m": m, "attempt": 1, "r": 0, "answers": answers}
        await self.show({**started, **({"replaces": replaces} if replaces else {})})
        await self.wait(m, text)
        reply, sent = answer_to(text), 0
        reason = "length" if "cut" in text else "failed" if "fail" in text and not replaces else "stop"
        if reason != "stop":
            reply = reply[:60]
        while sent < len(reply) and not self.stopping:
            piece = reply[sent : sent + 4]
            await self.show({"type": "answer.delta", "m": m, "r": 0, "at": sent, "text": piece})
            sent += len(piece)
            answer["text"] += piece
            if "drop" in text and sent == 80:
                for socket in list(self.sockets):
                    await socket.close(1011)
            await asyncio.sleep(0.15 if "slow" in text else 0.012)
            while "hold" in text and sent > 120 and not self.stopping:
                await asyncio.sleep(0.05)
        reason = "stopped" if self.stopping else reason
        shown = str(answer["text"])
        answer.update(done=True, reason=reason)
        if reason == "failed":
            await self.say("notice", f"Sorry, I could not finish that. Write to us: {CONTACT}", code="answer_failed")
        await self.show(
            {
                "type": "answer.done",
                "m": m,
                "reason": reason,
                "length": len(shown.encode("utf-16-le")) // 2,
                "crc32": zlib.crc32(shown.encode()),
            }
        )
        self.open = None
        if self.queue:
            queued, self.queue = self.queue, []
            await self.turn(queued)

    async def wait(self, m: int, text: str) -> None:
        if "queue" in text:
            for place in (3, 3, 2, 1):
                eta = {"position": place, "eta_ms": place * 7000, "reason": "model"}
                await self.show({"type": "queue.updated", **eta}, logged=False)
                for _ in range(8):
                    if not self.stopping:
                        await asyncio.sleep(0.1)
        await self.show({"type": "answer.status", "m": m, "state": "thinking"}, logged=False)
        await asyncio.sleep(0.25)


CONVERSATIONS: dict[str, Conversation] = {}
NUMBERS = itertools.count(1)


async def sessions(request: Request) -> Response:
    body = await request.json()
    if body.get("site") != SITE:
        problem = {"type": "about:blank", "title": "Unknown site", "status": 404, "code": "unknown_site"}
        return JSONResponse(problem, 404, media_type="application/problem+json")
    known = str(body.get("resume", "")).rpartition("-")[0]
    name = known if known in CONVERSATIONS else f"c{next(NUMBERS)}"
    CONVERSATIONS.setdefault(name, Conversation())
    handle = f"{name}-{next(NUMBERS)}"
    return JSONResponse({"token": name, "conversation": name, "resume": handle, "resumed": name == known})


async def socket(ws: WebSocket) -> None:
    await ws.accept(subprotocol="parley.v1")
    hello = json.loads(await ws.receive_text())
    talk = CONVERSATIONS.get(hello["token"])
    if talk is None:
        await ws.close(4501)
        return
    try:
        await greet(ws, talk, hello)
        async for text in ws.iter_text():
            await command(ws, talk, json.loads(text))
    except (WebSocketDisconnect, RuntimeError):
        pass
    finally:
        talk.sockets.discard(ws)


async def greet(ws: WebSocket, talk: Conversation, hello: dict[str, Any]) -> None:
    pos = hello.get("pos")
    welcome = {
        "type": "welcome",
        "v": 1,
        "conversation": hello["token"],
        "pos": talk.pos,
        "mode": "replay" if pos else "snapshot",
        "status": "assisted",
        "heartbeat_ms": 25000,
        "limits": {"message_units": 2000},
    }
    frames = talk.log[pos[1] :] if pos else [talk.snapshot()]
    await ws.send_text(json.dumps([welcome, *frames]))
    talk.sockets.add(ws)


async def command(ws: WebSocket, talk: Conversation, frame: dict[str, Any]) -> None:
    match frame["type"]:
        case "hello":
            await greet(ws, talk, frame)
        case "message.send" if "error" in frame["text"]:
            error = {"code": "rate_limited", "message": "You write faster than I can read. Try again soon."}
            await ws.send_text(json.dumps({"type": "error", "fatal": True, "ref": frame["id"], **error}))
        case "message.send":
            duplicate = frame["id"] in talk.acks
            if not duplicate:
                m = await talk.say("customer", frame["text"], id=frame["id"])
                talk.acks[frame["id"]] = {"id": frame["id"], "m": m, "offset": len(talk.log)}
                talk.queue.append(m)
            ack = {"type": "message.ack", **talk.acks[frame["id"]], "duplicate": duplicate}
            await ws.send_text(json.dumps(ack))
            if talk.open is None and talk.queue:
                queued, talk.queue = talk.queue, []
                run(talk, talk.turn(queued))
        case "answer.stop":
            talk.stopping = talk.open == frame["m"]
        case "answer.retry":
            run(talk, talk.turn(talk.messages[frame["m"]]["answers"], frame["m"]))
        case "answer.rate":
            talk.messages[frame["m"]]["rating"] = frame["value"]
            await talk.show({"type": "answer.rated", "m": frame["m"], "value": frame["value"]})
        case "history":
            before = [message for m, message in talk.messages.items() if m < frame["before"]]
            page = {"type": "history", "messages": before[-50:], "more": len(before) > 50}
            await ws.send_text(json.dumps(page))
        case "handoff.request":
            await talk.say("notice", f"Nobody is here right now. Write to us: {CONTACT}", code="no_agent")
        case "ping":
            await ws.send_text(json.dumps({"type": "pong", "n": frame["n"]}))


def run(talk: Conversation, turn: Any) -> None:
    task = asyncio.get_running_loop().create_task(turn)
    talk.tasks.add(task)
    task.add_done_callback(talk.tasks.discard)


async def panel(request: Request) -> Response:
    locale = request.query_params.get("locale", "en").split("-")[0]
    path = ASSETS / f"panel.{locale}.html"
    text = (path if path.exists() else ASSETS / "panel.en.html").read_text()
    for name, value in {"site": SITE, "site_name": NAME, "contact": CONTACT}.items():
        text = text.replace("{{" + name + "}}", html.escape(value))
    policy = PANEL_CSP.format(ws=f"ws://{request.headers['host']}", ancestors="http://127.0.0.1:* http://localhost:*")
    return HTMLResponse(text, headers={"content-security-policy": policy})


async def asset(request: Request) -> Response:
    name = request.path_params.get("name", "widget.js")
    kinds = {"js": "text/javascript", "css": "text/css", "json": "application/json"}
    return Response((ASSETS / name).read_bytes(), media_type=kinds[name.rsplit(".", 1)[-1]])


def shop(request: Request, nonce: str = "") -> str:
    query = request.query_params
    extra = " ".join(f'data-{key}="{html.escape(value)}"' for key, value in query.items() if key != "lang")
    lang = query.get("lang", "en")
    # The panel's origin is the other name of this machine: foreign to the shop, as in real life.
    port = request.url.port
    origin = f"http://{'localhost' if request.url.hostname == '127.0.0.1' else '127.0.0.1'}:{port}"
    direction = "rtl" if lang == "ar" else "ltr"
    return SHOP.format(lang=lang, dir=direction, origin=origin, extra=extra, nonce=nonce)


async def home(request: Request) -> Response:
    return HTMLResponse(shop(request))


async def strict(request: Request) -> Response:
    text = shop(request, ' nonce="abc"')
    frame = f"http://localhost:{request.url.port} http://127.0.0.1:{request.url.port}"
    policy = (
        "default-src 'none'; style-src 'none'; script-src 'nonce-abc' 'strict-dynamic'; "
        f"frame-src {frame}; require-trusted-types-for 'script'"
    )
    return HTMLResponse(text, headers={"content-security-policy": policy})


app = Starlette(
    routes=[
        Route("/", home),
        Route("/strict", strict),
        Route("/panel", panel),
        Route("/widget.js", asset),
        Route("/assets/{name}", asset),
        Route("/v1/sessions", sessions, methods=["POST"]),
        WebSocketRoute("/v1/ws", socket),
    ]
)

if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 8123
    uvicorn.run(app, host="127.0.0.1", port=number, ws="websockets-sansio", log_level="warning")
