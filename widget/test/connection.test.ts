import assert from "node:assert/strict";
import { test } from "node:test";

import { backoff, verdictOf } from "../src/core/backoff.ts";
import { Connection } from "../src/core/connection.ts";
import type { Event, State } from "../src/core/machine.ts";
import { IllegalEvent, TABLE, next } from "../src/core/machine.ts";
import { WELCOME, World, granted, settled } from "./fakes.ts";

class Rig extends World {
  readonly moves: (readonly [State, number | string | null])[] = [];
  readonly frames: string[] = [];
  poisonings = 0;
  readonly connection = new Connection(this.surroundings, {
    hello: (token) => ({ type: "hello", v: 1, token }),
    frames: (frames) => void frames.forEach(({ type }) => this.frames.push(type)),
    moved: (state, code) => void this.moves.push([state, code]),
    poisoned: () => void (this.poisonings += 1),
  });

  get state(): State {
    return this.connection.state;
  }

  async live(): Promise<this> {
    this.connection.start();
    await settled();
    this.socket.accept();
    this.socket.say(WELCOME);
    assert.equal(this.state, "live");
    return this;
  }
}

test("every state lists what may happen in it, and everything else raises and changes nothing", () => {
  const events: Event[] = ["start", "opened", "welcome", "lost", "cut", "timer", "park", "sleep", "refuse", "stop"];
  for (const state of Object.keys(TABLE) as State[]) {
    for (const event of events) {
      const after = TABLE[state][event];
      if (after === undefined) assert.throws(() => next(state, event), IllegalEvent);
      else assert.equal(next(state, event), after);
    }
  }
  // From everywhere the page can go to sleep and the chat can be ended, and nothing is a dead end.
  for (const state of Object.keys(TABLE) as State[]) {
    assert.ok(TABLE[state].sleep !== undefined && TABLE[state].stop === "closed", state);
    assert.ok(Object.values(TABLE[state]).includes("connecting") || TABLE[state].lost === "waiting", state);
  }
});

test("a session, a socket, a hello, a welcome: connecting, resuming, live", async () => {
  const rig = new Rig();
  assert.equal(rig.state, "idle");
  rig.connection.start();
  assert.equal(rig.state, "connecting");
  await settled();
  rig.socket.accept();
  assert.equal(rig.state, "resuming");
  assert.deepEqual(rig.socket.sent, [{ type: "hello", v: 1, token: "token" }]);
  assert.equal(rig.connection.send({ type: "ping", n: 1 }), false);
  rig.socket.say(WELCOME, { type: "heartbeat", n: 1 });
  assert.equal(rig.state, "live");
  assert.deepEqual(rig.frames, ["welcome", "heartbeat"]);
  assert.equal(rig.connection.send({ type: "answer.stop", m: 2 }), true);
  assert.deepEqual(rig.moves.map(([state]) => state), ["connecting", "resuming", "live"]);
});

test("close codes decide whether and how the client comes back", () => {
  const expected: Record<number, string> = {
    1000: "retry", 1001: "retry", 1005: "retry", 1006: "retry", 1011: "retry",
    1009: "oversize",
    1012: "later", 1013: "later", 4429: "later", 4430: "later",
    4408: "retry", 4410: "retry", 4000: "retry", 4499: "retry",
    4409: "park",
    4501: "renew",
    4500: "refuse", 4505: "refuse", 4508: "refuse", 4999: "refuse",
  };
  for (const [code, verdict] of Object.entries(expected)) assert.equal(verdictOf(Number(code)), verdict, code);
});

test("waiting times have full jitter, double, and end at 20 s", () => {
  for (let failures = 0; failures < 40; failures += 1) {
    const widest = Math.min(20_000, 500 * 2 ** failures);
    assert.equal(backoff(failures, () => 0), 0);
    assert.equal(backoff(failures, () => 0.5), widest / 2);
    assert.ok(backoff(failures, () => 0.999_999) < widest);
  }
});

test("an unexpected loss is tried again at once if somebody looks, then ever later", async () => {
  const rig = await new Rig().live();
  rig.socket.end(1006);
  assert.equal(rig.state, "waiting");
  await rig.clock.pass(0);
  assert.equal(rig.state, "connecting");
  const waits: number[] = [];
  for (let failure = 0; failure < 8; failure += 1) {
    rig.socket.accept();
    rig.socket.end(1006);
    waits.push(rig.clock.due[0]!);
    await rig.clock.pass(waits.at(-1)!);
  }
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
});

test("in a tab that nobody looks at, the first retry waits too", async () => {
  const rig = await new Rig().live();
  rig.shown = false;
  rig.socket.end(1006);
  assert.equal(rig.clock.due[0], 250);
});

test("a connection that is accepted and dropped again does not forgive earlier failures; a stable one does", async () => {
  const rig = await new Rig().live();
  rig.socket.end(1006);
  await rig.clock.pass(0);
  rig.socket.accept();
  rig.socket.say(WELCOME);
  rig.socket.end(1006);
  assert.equal(rig.clock.due[0], 500);
  await rig.clock.pass(500);
  rig.socket.accept();
  rig.socket.say(WELCOME);
  await rig.clock.pass(5_000);
  rig.socket.end(1006);
  assert.equal(rig.clock.due[0], 0);
});

test("a restart is spread: the first wait is already four seconds wide", async () => {
  for (const code of [1012, 4430, 4429]) {
    const rig = await new Rig().live();
    rig.chance = 0.999;
    rig.socket.end(code);
    assert.deepEqual(rig.moves.at(-1), ["waiting", code]);
    assert.equal(rig.clock.due[0], 3996);
  }
});

test("a customer's newer socket parks this one until its tab is shown", async () => {
  const rig = await new Rig().live();
  rig.socket.end(4409);
  assert.deepEqual(rig.moves.at(-1), ["idle", 4409]);
  assert.deepEqual(rig.clock.due, []);
  rig.connection.wake();
  assert.equal(rig.state, "connecting");
});

test("a bad token gets one new session, then the client stops", async () => {
  const rig = await new Rig().live();
  rig.outcomes = [granted("second")];
  rig.socket.end(4501);
  await rig.clock.pass(0);
  assert.equal(rig.asked.length, 2);
  rig.socket.accept();
  assert.equal(rig.socket.of("hello")[0]!.token, "second");
  rig.socket.end(4501);
  assert.deepEqual(rig.moves.at(-1), ["closed", 4501]);
  await rig.clock.pass(100_000);
  assert.equal(rig.asked.length, 2);
});

test("a token that was good for a while may be renewed again", async () => {
  const rig = await new Rig().live();
  for (let round = 0; round < 3; round += 1) {
    rig.socket.end(4501);
    await rig.clock.pass(0);
    rig.socket.accept();
    rig.socket.say(WELCOME);
    assert.equal(rig.state, "live");
  }
});

test("what no client can cure ends the connection until a person starts it again", async () => {
  for (const code of [4505, 4508, 4999]) {
    const rig = await new Rig().live();
    rig.socket.end(code);
    assert.deepEqual(rig.moves.at(-1), ["closed", code]);
    assert.equal(rig.poisonings, code === 4508 ? 1 : 0);
    rig.connection.wake();
    assert.equal(rig.state, "closed");
    rig.connection.start();
    assert.equal(rig.state, "connecting");
  }
});

test("a frame that was too large for the library is not the connection's end", async () => {
  const rig = await new Rig().live();
  rig.socket.end(1009);
  assert.equal(rig.poisonings, 1);
  assert.equal(rig.state, "waiting");
});

test("a refusal before the handshake asks for a session, whose problem code decides", async () => {
  const rig = await new Rig().live();
  rig.socket.end(1006);
  await rig.clock.pass(0);
  rig.outcomes = [{ kind: "refused", code: "origin_refused", message: "" }];
  rig.socket.end(1006); // never opened
  assert.equal(rig.state, "waiting");
  await rig.clock.pass(1_000);
  assert.equal(rig.asked.length, 2);
  assert.deepEqual(rig.moves.at(-1), ["closed", "origin_refused"]);
});

test("a session that nobody answers is asked for again, not before the server says", async () => {
  const rig = new Rig();
  rig.outcomes = [{ kind: "unreachable", retryMs: 9_000 }];
  rig.connection.start();
  await settled();
  assert.equal(rig.state, "waiting");
  assert.deepEqual(rig.clock.due, [9_000]);
  await rig.clock.pass(9_000);
  assert.equal(rig.asked.length, 2);
  assert.equal(rig.state, "connecting");
});

test("a handshake that nobody finishes is given up after ten seconds", async () => {
  const rig = new Rig();
  rig.connection.start();
  await settled();
  await rig.clock.pass(10_000);
  assert.equal(rig.state, "waiting");
  assert.equal(rig.socket.closed, 1000);
});

test("silence for two and a half heartbeats is the end", async () => {
  const rig = await new Rig().live();
  await rig.clock.pass(62_000);
  rig.socket.say({ type: "heartbeat", n: 1 });
  await rig.clock.pass(62_499);
  assert.equal(rig.state, "live");
  await rig.clock.pass(1);
  assert.equal(rig.state, "connecting");
  assert.equal(rig.sockets.length, 2);
  assert.equal(rig.sockets[0]!.closed, 1000);
});

test("while an answer runs silence is noticed sooner, and the peer is asked before it is given up", async () => {
  const rig = await new Rig().live();
  rig.connection.busy = true;
  await rig.clock.pass(5_000);
  assert.equal(rig.socket.of("ping").length, 1);
  rig.socket.say({ type: "pong", n: 1 });
  await rig.clock.pass(5_000);
  assert.equal(rig.socket.of("ping").length, 2);
  assert.equal(rig.state, "live");
  await rig.clock.pass(3_000);
  assert.equal(rig.sockets.length, 2);
});

test("tokens that keep coming keep it alive without a timer for each", async () => {
  const rig = await new Rig().live();
  rig.connection.busy = true;
  for (let beat = 0; beat < 200; beat += 1) {
    rig.socket.say({ type: "heartbeat", n: beat });
    await rig.clock.pass(100);
  }
  assert.equal(rig.state, "live");
  assert.equal(rig.socket.of("ping").length, 0);
  assert.equal(rig.clock.due.length, 1);
});

test("a tab that is shown again asks whether the line still holds, and knows within three seconds", async () => {
  const rig = await new Rig().live();
  rig.connection.wake();
  rig.connection.wake();
  assert.equal(rig.socket.of("ping").length, 1);
  await rig.clock.pass(3_000);
  assert.equal(rig.sockets.length, 2);
});

test("a lost network is offline with a timer all the same, and its return is not waited for", async () => {
  const rig = await new Rig().live();
  rig.network = false;
  rig.connection.offline();
  assert.equal(rig.state, "live");
  await rig.clock.pass(3_000);
  assert.equal(rig.state, "connecting"); // at once, and in vain
  rig.socket.end(1006);
  assert.equal(rig.state, "offline");
  assert.equal(rig.clock.due.length, 1);
  rig.network = true;
  rig.connection.wake();
  assert.equal(rig.state, "connecting");
});

test("offline while waiting is told, and the wait goes on", async () => {
  const rig = new Rig();
  rig.outcomes = [{ kind: "unreachable", retryMs: 0 }];
  rig.connection.start();
  await settled();
  rig.network = false;
  rig.connection.offline();
  assert.equal(rig.state, "offline");
  await rig.clock.pass(20_000);
  assert.equal(rig.state, "connecting");
});

test("a page that is put away closes its socket, and connects when it comes back", async () => {
  const rig = await new Rig().live();
  rig.connection.sleep();
  assert.equal(rig.state, "idle");
  assert.equal(rig.socket.closed, 1000);
  assert.deepEqual(rig.clock.due, []);
  rig.connection.wake();
  await settled();
  rig.socket.accept();
  rig.socket.say(WELCOME);
  assert.equal(rig.state, "live");
  assert.equal(rig.asked.length, 1); // the token is still good
});

test("nobody who never opened the chat is connected by showing the tab", () => {
  const rig = new Rig();
  rig.connection.wake();
  assert.equal(rig.state, "idle");
});

test("goaway opens and greets the successor before the old socket goes", async () => {
  const rig = await new Rig().live();
  const [old] = rig.sockets;
  await rig.clock.pass(10_000);
  old!.say({ type: "goaway", after_ms: 8_000, reason: "deploy" });
  assert.equal(rig.sockets.length, 1);
  await rig.clock.pass(2_000);
  assert.equal(rig.sockets.length, 2);
  assert.equal(old!.closed, null);
  rig.socket.accept();
  old!.say({ type: "heartbeat", n: 1 });
  assert.equal(rig.connection.send({ type: "answer.stop", m: 1 }), true);
  assert.equal(old!.of("answer.stop").length, 1);
  rig.socket.say(WELCOME);
  assert.equal(old!.closed, 1000);
  assert.equal(rig.connection.send({ type: "answer.stop", m: 2 }), true);
  assert.equal(rig.socket.of("answer.stop").length, 1);
  assert.ok(rig.moves.every(([state]) => ["connecting", "resuming", "live"].includes(state)));
});

test("an old socket that goes before its successor is welcomed makes no pause", async () => {
  const rig = await new Rig().live();
  const [old] = rig.sockets;
  await rig.clock.pass(10_000);
  old!.say({ type: "goaway", after_ms: 0, reason: "deploy" });
  await rig.clock.pass(0);
  old!.end(1012);
  assert.equal(rig.state, "live");
  assert.equal(rig.connection.send({ type: "answer.stop", m: 1 }), false);
  rig.socket.accept();
  rig.socket.say(WELCOME);
  assert.equal(rig.connection.send({ type: "answer.stop", m: 1 }), true);
});

/** A live rig whose worker goes, and whose first successor has just been opened. */
async function leaving(): Promise<Rig> {
  const rig = await new Rig().live();
  await rig.clock.pass(10_000);
  rig.socket.say({ type: "goaway", after_ms: 0, reason: "deploy" });
  await rig.clock.pass(0);
  assert.equal(rig.sockets.length, 2);
  return rig;
}

test("a successor that fails leaves the old socket in place, and has another, later each time", async () => {
  const rig = await leaving();
  const waits: number[] = [];
  for (let failure = 0; failure < 3; failure += 1) {
    rig.socket.end(1006);
    assert.equal(rig.state, "live");
    assert.equal(rig.sockets[0]!.closed, null);
    waits.push(Math.min(...rig.clock.due));
    await rig.clock.pass(waits.at(-1)!);
    assert.equal(rig.sockets.length, failure + 3);
  }
  assert.deepEqual(waits, [500, 1000, 2000]);
  rig.socket.accept();
  rig.socket.say(WELCOME);
  assert.equal(rig.sockets[0]!.closed, 1000);
  assert.equal(rig.connection.send({ type: "answer.stop", m: 1 }), true);
  assert.equal(rig.socket.of("answer.stop").length, 1);
  await rig.clock.pass(60_000);
  assert.equal(rig.sockets.length, 5);
});

test("a successor that nobody welcomes is given up after ten seconds, and has another", async () => {
  const rig = await leaving();
  const [old, hanging] = rig.sockets;
  rig.socket.accept();
  await rig.clock.pass(10_000);
  assert.equal(hanging!.closed, 1000);
  await rig.clock.pass(500);
  assert.equal(rig.sockets.length, 3);
  assert.equal(old!.closed, null);
});

test("an old socket that goes while its next successor is waited for is lost like any other", async () => {
  const rig = await leaving();
  rig.socket.end(1006);
  rig.sockets[0]!.end(1006);
  assert.equal(rig.state, "waiting");
  await rig.clock.pass(0);
  assert.equal(rig.sockets.length, 3);
  await rig.clock.pass(9_000);
  assert.equal(rig.sockets.length, 3, "no successor of a socket that is gone");
});

test("a chat that is put away while it leaves opens no socket any more", async () => {
  const rig = await leaving();
  rig.connection.sleep();
  assert.deepEqual(rig.sockets.map(({ closed }) => closed), [1000, 1000]);
  await rig.clock.pass(60_000);
  assert.equal(rig.sockets.length, 2);
});

test("being sent away again at once is no endless chase", async () => {
  const rig = await new Rig().live();
  for (let round = 0; round < 10; round += 1) {
    rig.socket.say({ type: "goaway", after_ms: 0, reason: "deploy" });
    await rig.clock.pass(rig.clock.due[0]!);
    if (rig.sockets.length === round + 2) {
      rig.socket.accept();
      rig.socket.say(WELCOME);
    }
  }
  assert.ok(rig.clock.now() - 1_000_000 > 10_000, `${rig.clock.now() - 1_000_000} ms for ten rounds`);
});

test("what an abandoned attempt still has to say is not heard", async () => {
  const rig = new Rig();
  rig.connection.start();
  rig.connection.stop();
  await settled();
  assert.equal(rig.state, "closed");
  assert.equal(rig.sockets.length, 0);
  const live = await new Rig().live();
  const { onmessage } = live.socket;
  live.connection.stop();
  assert.equal(live.socket.onclose, null);
  onmessage!({ data: '{"type":"goaway","after_ms":0,"reason":"deploy"}' });
  assert.deepEqual(live.clock.due, []);
  assert.equal(live.state, "closed");
});

test("a message that is no frame does not end the connection", async () => {
  const rig = await new Rig().live();
  rig.socket.onmessage!({ data: "<html>" });
  assert.equal(rig.state, "live");
});

test("a thousand clients do not come back in step", async () => {
  const waits: number[] = [];
  let seed = 11;
  for (let client = 0; client < 200; client += 1) {
    const rig = await new Rig().live();
    seed = (seed * 48271) % 2147483647;
    rig.chance = seed / 2147483647;
    rig.socket.end(1012);
    waits.push(rig.clock.due[0]!);
  }
  const perTenth = Array.from({ length: 10 }, (_, tenth) => waits.filter((ms) => Math.floor(ms / 400) === tenth).length);
  assert.ok(Math.max(...perTenth) < 45, `${perTenth}`);
  assert.ok(Math.min(...perTenth) > 5, `${perTenth}`);
});
