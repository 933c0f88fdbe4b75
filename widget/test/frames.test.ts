/** The golden frames, which the server's tests read too: the fold gives the stated state after each. */

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { crc32 } from "../src/core/crc32.ts";
import type { Conversation } from "../src/core/state.ts";
import { EMPTY, fold } from "../src/core/state.ts";
import { WireError, decode, encode } from "../src/core/wire.ts";
import type { ClientFrame } from "../src/core/wire.ts";

interface Golden {
  readonly title: string;
  readonly kind: string;
  readonly steps?: readonly { readonly frame: object; readonly expect: Record<string, unknown> }[];
  readonly accepted?: readonly ClientFrame[];
  readonly texts?: readonly { readonly text: string; readonly length: number; readonly crc32: number }[];
}

const golden = readdirSync(FRAMES)
  .filter((name) => name.endsWith(".json"))
  .sort()
  .map((name) => JSON.parse(readFileSync(`${FRAMES}/${name}`, "utf8")) as Golden);
const folds = golden.filter(({ kind }) => kind === "fold");

/** What `expect` names, of what there is; a message by the fields that it names. */
function seen(state: Conversation, need: unknown, expect: Record<string, unknown>): Record<string, unknown> {
  const all: Record<string, unknown> = { ...state, need, queue: state.queue?.position ?? null };
  const messages = expect.messages as readonly object[] | undefined;
  if (messages !== undefined) {
    all.messages = state.messages.map((message, index) =>
      Object.fromEntries(
        Object.keys(messages[index] ?? message).map((key) => [key, message[key as keyof typeof message]]),
      ),
    );
  }
  return Object.fromEntries(Object.keys(expect).map((key) => [key, all[key]]));
}

/** As the client does it: without a position once it is given up. */
function step(state: Conversation, frame: Parameters<typeof fold>[1]) {
  const { state: after, need } = fold(state, frame);
  return { state: need === "anew" ? { ...after, pos: null } : after, need };
}

test("there are golden frames for every rule", () => {
  assert.ok(folds.length >= 18, `${folds.length}`);
});

for (const { title, steps } of folds) {
  test(title, () => {
    let state = EMPTY;
    for (const [index, { frame, expect }] of steps!.entries()) {
      const [decoded] = decode(JSON.stringify(frame));
      const { state: after, need } = step(state, decoded!);
      state = after;
      assert.deepEqual(seen(state, need, expect), expect, `step ${index + 1}: ${JSON.stringify(frame)}`);
    }
  });

  test(`${title}: in one array it comes to the same`, () => {
    const frames = steps!.map(({ frame }) => frame);
    const whole = decode(JSON.stringify(frames)).reduce((state, frame) => step(state, frame).state, EMPTY);
    const single = frames.reduce<Conversation>((state, frame) => step(state, decode(JSON.stringify(frame))[0]!).state, EMPTY);
    assert.deepEqual(whole, single);
  });

  test(`${title}: every frame twice comes to the same`, () => {
    const frames = decode(JSON.stringify(steps!.map(({ frame }) => frame)));
    const once = frames.reduce((state, frame) => step(state, frame).state, EMPTY);
    const twice = frames.reduce((state, frame) => {
      const after = step(state, frame).state;
      // A welcome asks for what follows it; what repeats in real life are the logged frames.
      return "o" in frame && !after.awaiting ? step(after, frame).state : after;
    }, EMPTY);
    assert.deepEqual(twice, once);
  });
}

test("the fold changes nothing in place", () => {
  const freeze = <T>(value: T): T => {
    if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
      Object.freeze(value);
      Object.values(value).forEach(freeze);
    }
    return value;
  };
  for (const { steps } of folds) {
    decode(JSON.stringify(steps!.map(({ frame }) => frame))).reduce(
      (state, frame) => freeze(step(state, freeze(frame)).state),
      freeze(EMPTY),
    );
  }
});

test("a message that is no JSON or holds no frames is refused whole", () => {
  for (const text of ["", "{", "4", '"x"', "[1]", "{}", '{"type":4}', "[[]]", "null"]) {
    assert.throws(() => decode(text), WireError);
  }
  assert.deepEqual(decode("[]"), []);
});

test("a frame of a known type without its fields is told from one of an unknown type", () => {
  assert.deepEqual(decode('{"type":"answer.delta","o":4}'), [{ type: "invalid", name: "answer.delta", o: 4 }]);
  assert.deepEqual(decode('{"type":"constructor","o":4}'), [{ type: "unknown", name: "constructor", o: 4 }]);
  assert.deepEqual(decode('{"type":"snapshot","pos":["e"]}'), [{ type: "invalid", name: "snapshot" }]);
  assert.deepEqual(decode('{"type":"message.created","o":1,"message":{"m":1}}')[0]!.type, "invalid");
});

test("what a client may send is what it does send, to the letter", () => {
  const { accepted } = golden.find(({ kind }) => kind === "commands")!;
  for (const frame of accepted!) assert.deepEqual(JSON.parse(encode(frame)), frame);
});

test("length and sum of a text are those of the server", () => {
  const { texts } = golden.find(({ kind }) => kind === "sums")!;
  for (const { text, length, crc32: sum } of texts!) {
    assert.equal(text.length, length);
    assert.equal(crc32(text), sum);
  }
});
