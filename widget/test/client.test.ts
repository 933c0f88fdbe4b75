/** The client's rules together: fold, connection and outbox, against a server that a test plays. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Client } from "../src/core/client.ts";
import { crc32 } from "../src/core/crc32.ts";
import type { ErrorFrame } from "../src/core/wire.ts";
import { MapShelf, SNAPSHOT, WELCOME, World, granted, settled } from "./fakes.ts";

class Rig extends World {
  readonly errors: ErrorFrame[] = [];
  readonly shelf: MapShelf;
  readonly client: Client;

  constructor(shelf = new MapShelf()) {
    super();
    this.shelf = shelf;
    this.client = new Client(this.environment(shelf), "de-AT", {
      folded: () => {},
      connection: () => {},
      outbox: () => {},
      failed: (error) => void this.errors.push(error),
    });
  }

  async live(snapshot: object = SNAPSHOT): Promise<this> {
    this.client.connection.start();
    await settled();
    this.socket.accept();
    this.socket.say(WELCOME, snapshot);
    return this;
  }

  /** Ends the socket and lets time pass until the next one is open. */
  async back(code: number): Promise<void> {
    const before = this.sockets.length;
    this.socket.end(code);
    while (this.sockets.length === before) await this.clock.pass(this.clock.due[0]!);
    this.socket.accept();
  }

  get sends(): string[] {
    return this.socket.of("message.send").map(({ text }) => text);
  }

  get states(): string[] {
    return this.client.entries.map(({ text, state }) => `${text}: ${state}`);
  }
}

const created = (o: number, m: number, id: string, text: string, author = "customer") => ({
  type: "message.created", o, message: { m, id, author, text, time: 1_000_000 },
});
const started = (o: number, m: number, answers: number[]) => ({ type: "answer.started", o, m, attempt: 1, r: 0, answers });
const delta = (o: number, m: number, at: number, text: string) => ({ type: "answer.delta", o, m, r: 0, at, text });
const done = (o: number, m: number, text: string) => ({
  type: "answer.done", o, m, reason: "stop", length: text.length, crc32: crc32(text),
});

test("hello says who, where, in which language, and from which position", async () => {
  const rig = new Rig();
  rig.client.page = "https://shop.example/tents";
  await rig.live();
  assert.deepEqual(rig.socket.of("hello"), [
    { type: "hello", v: 1, token: "token", locale: "de-AT", page: "https://shop.example/tents" },
  ]);
  rig.socket.say(created(1, 1, "abc", "Hi"));
  await rig.back(1006);
  assert.deepEqual(rig.socket.of("hello")[0]!.pos, ["e1", 1]);
});

test("the handle is redeemed and its successor stored, each time", async () => {
  const rig = new Rig();
  rig.stored = "first";
  rig.outcomes = [granted("one")];
  await rig.live();
  assert.deepEqual(rig.asked, ["first"]);
  assert.equal(rig.stored, "after one");
  rig.outcomes = [granted("two")];
  rig.socket.end(4501);
  await rig.clock.pass(0);
  assert.deepEqual(rig.asked, ["first", "after one"]);
  assert.equal(rig.stored, "after two");
});

test("a message goes out at once when live, and stays until its answer is done", async () => {
  const rig = await new Rig().live();
  const id = rig.client.say("  Norway?\n")!;
  assert.deepEqual(rig.sends, ["Norway?"]);
  rig.socket.say({ type: "message.ack", id, m: 1, offset: 1, duplicate: false }, created(1, 1, id, "Norway?"));
  assert.deepEqual(rig.states, ["Norway?: acked"]);
  rig.socket.say(started(2, 2, [1]), delta(3, 2, 0, "Yes."), done(4, 2, "Yes."));
  assert.deepEqual(rig.states, []);
  assert.equal(rig.shelf.kept.size, 0);
});

test("empty, over-long and half-open text is not sent", async () => {
  const rig = await new Rig().live();
  rig.socket.say({ ...WELCOME, mode: "replay", limits: { message_units: 10 } });
  assert.equal(rig.client.say(" \n\t"), null);
  assert.equal(rig.client.say("12345678901"), null);
  assert.equal(rig.client.say("👩‍👩‍👧👩‍👩‍👧"), null); // sixteen units
  assert.notEqual(rig.client.say("1234567890"), null);
  assert.deepEqual(rig.sends, ["1234567890"]);
});

test("what was said offline is sent after the welcome, in its order, once", async () => {
  const rig = new Rig();
  rig.client.say("one");
  await rig.clock.pass(5);
  rig.client.say("two");
  assert.deepEqual(rig.states, ["one: waiting", "two: waiting"]);
  await rig.live();
  assert.deepEqual(rig.sends, ["one", "two"]);
});

test("what was on its way when the line broke is sent again with the same id", async () => {
  const rig = await new Rig().live();
  const id = rig.client.say("Norway?")!;
  await rig.back(1006);
  rig.socket.say({ ...WELCOME, mode: "replay" });
  assert.deepEqual(rig.socket.of("message.send"), [{ type: "message.send", id, text: "Norway?" }]);
  rig.socket.say({ type: "message.ack", id, m: 1, offset: 1, duplicate: true });
  rig.socket.say({ ...WELCOME, mode: "replay" });
  assert.equal(rig.sends.length, 1);
});

test("what was said before a reload is sent after it", async () => {
  const shelf = new MapShelf();
  new Rig(shelf).client.say("Norway?");
  const rig = await new Rig(shelf).live();
  assert.deepEqual(rig.sends, ["Norway?"]);
});

test("a log that was lost after the ack is found out, and the message sent once more", async () => {
  const rig = await new Rig().live();
  const id = rig.client.say("Norway?")!;
  rig.socket.say({ type: "message.ack", id, m: 1, offset: 1, duplicate: false }, created(1, 1, id, "Norway?"));
  rig.socket.say({ ...WELCOME, pos: ["e2", 0], mode: "reset" });
  assert.equal(rig.sends.length, 1);
  rig.socket.say({ ...SNAPSHOT, pos: ["e2", 0] });
  assert.equal(rig.sends.length, 2);
  assert.equal(rig.socket.of("message.send")[1]!.id, id);
});

test("a hole is asked about on the same socket, four times at most, and the fourth time without a position", async () => {
  const rig = await new Rig().live();
  rig.socket.say(created(1, 1, "a", "Hi"));
  for (let round = 0; round < 4; round += 1) {
    rig.socket.say(created(9, 5, "z", "Later"));
    rig.socket.say(created(10, 6, "y", "Ignored"));
    rig.socket.say({ ...WELCOME, pos: ["e1", 10], mode: round < 3 ? "replay" : "snapshot" });
  }
  assert.equal(rig.sockets.length, 1);
  const hellos = rig.socket.of("hello").slice(1);
  assert.deepEqual(hellos.map(({ pos }) => pos ?? null), [["e1", 1], ["e1", 1], ["e1", 1], null]);
  assert.equal(rig.client.conversation.messages.length, 1);
});

test("a wrong sum at the end fetches the conversation anew, without a position", async () => {
  const rig = await new Rig().live();
  rig.socket.say(started(1, 1, []), delta(2, 1, 0, "Two days"), { ...done(3, 1, "Ten days"), length: 8 });
  const [, again] = rig.socket.of("hello");
  assert.equal(again!.pos, undefined);
  rig.socket.say({ ...WELCOME, pos: ["e1", 3] }, {
    ...SNAPSHOT, pos: ["e1", 3], messages: [{ m: 1, author: "assistant", text: "Ten days", r: 0, done: true, reason: "stop" }],
  });
  assert.equal(rig.client.conversation.messages[0]!.text, "Ten days");
});

test("a fatal error about a message stops it; one that passes is waited for", async () => {
  const rig = await new Rig().live();
  const first = rig.client.say("one")!;
  await rig.clock.pass(1);
  const second = rig.client.say("two")!;
  rig.socket.say({ type: "error", code: "text_too_long", message: "Zu lang.", fatal: true, ref: first });
  rig.socket.say({ type: "error", code: "rate_limited", message: "Langsamer.", fatal: false, retry_ms: 4_000, ref: second });
  assert.deepEqual(rig.states, ["one: failed", "two: waiting"]);
  await rig.clock.pass(3_999);
  assert.equal(rig.sends.length, 2);
  await rig.clock.pass(1);
  assert.deepEqual(rig.sends, ["one", "two", "two"]);
  assert.deepEqual(rig.errors.map(({ code }) => code), ["text_too_long", "rate_limited"]);
});

test("a message that ended the socket is not what the next one begins with", async () => {
  const rig = await new Rig().live();
  rig.client.say("poison");
  await rig.back(1009);
  rig.socket.say({ ...WELCOME, mode: "replay" });
  assert.deepEqual(rig.sends, []);
  assert.deepEqual(rig.states, ["poison: failed"]);
  rig.client.retrySending(rig.client.entries[0]!.id);
  assert.deepEqual(rig.sends, ["poison"]);
});

test("identify is repeated until the server has taken it, with the new token and handle", async () => {
  const rig = new Rig();
  rig.client.identify("a.b.c");
  await rig.live();
  assert.deepEqual(rig.socket.of("identify"), [{ type: "identify", jwt: "a.b.c" }]);
  await rig.back(1006);
  rig.socket.say({ ...WELCOME, mode: "replay" });
  assert.equal(rig.socket.of("identify").length, 1);
  rig.socket.say({ ...WELCOME, conversation: "c2", pos: ["e9", 0], mode: "reset", token: "hers", resume: "her handle" });
  assert.equal(rig.stored, "her handle");
  rig.socket.say({ ...SNAPSHOT, pos: ["e9", 0] });
  await rig.back(1006);
  assert.equal(rig.socket.of("hello")[0]!.token, "hers");
  rig.socket.say({ ...WELCOME, pos: ["e9", 0], mode: "replay" });
  assert.equal(rig.socket.of("identify").length, 0);
});

test("an identity that is refused is not insisted on", async () => {
  const rig = await new Rig().live();
  rig.client.identify("a.b.c");
  rig.socket.say({ type: "error", code: "identify_unavailable", message: "", fatal: true });
  rig.socket.say({ ...WELCOME, mode: "replay" });
  assert.equal(rig.socket.of("identify").length, 1);
});

test("after a logout nothing is left, and who comes next is somebody new", async () => {
  const rig = await new Rig().live();
  rig.client.say("secret");
  rig.socket.say(created(1, 1, "abc", "old"));
  rig.client.logout();
  assert.equal(rig.stored, null);
  assert.equal(rig.shelf.kept.size, 0);
  assert.deepEqual(rig.client.conversation.messages, []);
  await rig.live();
  assert.deepEqual(rig.asked, [null, null]);
  assert.equal(rig.socket.of("hello")[0]!.pos, undefined);
});

test("an answer that runs is listened for more closely than an empty room", async () => {
  const rig = await new Rig().live();
  rig.socket.say(started(1, 1, []));
  await rig.clock.pass(5_000);
  assert.equal(rig.socket.of("ping").length, 1);
  rig.socket.say({ type: "pong", n: 1 }, done(2, 1, ""));
  await rig.clock.pass(30_000);
  assert.equal(rig.socket.of("ping").length, 1);
});

test("random cuts lose nothing and double nothing", async () => {
  let seed = 3;
  const next = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  for (let round = 0; round < 200; round += 1) {
    const rig = await new Rig().live();
    const log: object[] = [];
    const known = new Map<string, number>();
    const said: string[] = [];
    let heard = 0;
    const serve = (speak: boolean) => {
      for (const { id, text } of rig.socket.of("message.send").slice(heard)) {
        heard += 1;
        if (!known.has(id)) {
          known.set(id, known.size + 1);
          log.push(created(log.length + 1, known.size, id, text));
          if (speak) rig.socket.say(log.at(-1)!);
        }
        if (speak) rig.socket.say({ type: "message.ack", id, m: known.get(id), offset: log.length, duplicate: false });
      }
    };
    const cut = async () => {
      await rig.back(1006);
      heard = 0;
      const from = (rig.socket.of("hello")[0]!.pos as [string, number])[1];
      rig.socket.say({ ...WELCOME, pos: ["e1", log.length], mode: "replay" }, ...log.slice(from));
      serve(true);
    };
    for (let event = 0; event < 12; event += 1) {
      if (next(2) === 0) {
        said.push(`${event}`);
        rig.client.say(`${event}`);
        await rig.clock.pass(1);
        if (next(2) === 0) serve(next(2) === 0);
      } else {
        if (next(2) === 0) serve(false);
        await cut();
      }
    }
    await cut();
    assert.deepEqual(rig.client.conversation.messages.map(({ text }) => text), said, `round ${round}`);
    assert.ok(rig.states.every((state) => state.endsWith("acked")), `${rig.states}`);
  }
});

test("a worker that goes in the middle of an answer is left without a flicker", async () => {
  const rig = await new Rig().live();
  const texts: string[] = [];
  const states: string[] = [];
  const activities: (string | null)[] = [];
  const look = () => {
    texts.push(rig.client.conversation.messages.find(({ m }) => m === 2)?.text ?? "");
    activities.push(rig.client.conversation.activity?.state ?? null);
    states.push(rig.client.connection.state);
  };
  const old = rig.socket;
  await rig.clock.pass(10_000);
  old.say(created(1, 1, "m1", "hello"), started(2, 2, [1]));
  old.say({ type: "answer.status", m: 2, state: "thinking" });
  old.say({ type: "goaway", after_ms: 2_000, reason: "deploy" });
  await rig.clock.pass(500);
  const fresh = rig.socket;
  assert.notEqual(fresh, old);
  fresh.accept();
  assert.deepEqual(fresh.of("hello")[0]!.pos, ["e1", 2]);
  look();
  fresh.say({ ...WELCOME, pos: ["e1", 2], mode: "replay" });
  look(); // what goes on still goes on
  assert.equal(old.closed, 1000);
  fresh.say(delta(3, 2, 0, "Hello"));
  look();
  assert.deepEqual(activities, ["thinking", "thinking", null]);
  fresh.say(delta(4, 2, 5, " there"), done(5, 2, "Hello there"));
  look();
  assert.deepEqual(texts, ["", "", "Hello", "Hello there"]);
  assert.ok(states.every((state) => state === "live"));
});

test("what the old socket brought while the new one's snapshot was on its way is not taken back", async () => {
  const rig = await new Rig().live();
  const old = rig.socket;
  await rig.clock.pass(10_000);
  old.say(created(1, 1, "m1", "hello"), started(2, 2, [1]), delta(3, 2, 0, "Hello"));
  old.say({ type: "goaway", after_ms: 0, reason: "deploy" });
  await rig.clock.pass(0);
  const fresh = rig.socket;
  fresh.accept();
  old.say(delta(4, 2, 5, " there"));
  const open = { m: 2, author: "assistant", text: "Hello", r: 0, done: false, answers: [1] };
  fresh.say({ ...WELCOME, pos: ["e1", 3] }, { ...SNAPSHOT, pos: ["e1", 3], messages: [open] });
  assert.equal(rig.client.conversation.messages.find(({ m }) => m === 2)!.text, "Hello there");
  fresh.say(delta(4, 2, 5, " there"), delta(5, 2, 11, "!"), done(6, 2, "Hello there!"));
  assert.equal(rig.client.conversation.messages.find(({ m }) => m === 2)!.text, "Hello there!");
  assert.deepEqual(rig.client.conversation.pos, ["e1", 6]);
});

test("a reset takes back what an older place in the log had brought", async () => {
  const rig = await new Rig().live();
  rig.socket.say(created(1, 1, "m1", "hello"), started(2, 2, [1]), delta(3, 2, 0, "Hello"));
  rig.socket.say({ ...WELCOME, pos: ["e1", 1], mode: "reset" });
  assert.equal(rig.client.conversation.pos, null);
  rig.socket.say({ ...SNAPSHOT, pos: ["e1", 1] });
  assert.deepEqual(rig.client.conversation.pos, ["e1", 1]);
  assert.deepEqual(rig.client.conversation.messages, []);
});
