import assert from "node:assert/strict";
import { test } from "node:test";

import type { Message } from "../src/core/message.ts";
import { Outbox } from "../src/core/outbox.ts";
import { uuid7 } from "../src/core/uuid7.ts";
import { MapShelf } from "./fakes.ts";

const NOW = 5_000_000;
const said = (m: number, id: string, time = NOW): Message => ({
  m, id, time, author: "customer", text: id, r: 0, done: true,
});
const answer = (m: number, answers: number[], done = true): Message => ({
  m, answers, done, author: "assistant", text: "…", r: 0,
});

function outbox(shelf = new MapShelf()) {
  let changes = 0;
  const box = new Outbox(shelf, () => (changes += 1));
  return { box, shelf, changes: () => changes, states: () => box.entries.map(({ id, state }) => `${id} ${state}`) };
}

test("what is added waits, in the order in which it was written", () => {
  const { box, states } = outbox();
  for (const id of ["b", "a", "c"]) box.add({ id, text: id, time: NOW });
  assert.deepEqual(states(), ["a waiting", "b waiting", "c waiting"]);
});

test("without an ack it is sent after every welcome; with one it is not", () => {
  const { box } = outbox();
  box.add({ id: "a", text: "a", time: NOW });
  box.add({ id: "b", text: "b", time: NOW });
  box.sent("a");
  box.sent("b");
  assert.deepEqual(box.unacked().map(({ id }) => id), ["a", "b"]);
  box.acked("a", 1, 1, NOW);
  assert.deepEqual(box.unacked().map(({ id }) => id), ["b"]);
});

test("an acked one stays until an answer covers it", () => {
  const { box, states } = outbox();
  box.add({ id: "a", text: "a", time: NOW });
  box.acked("a", 3, 7, NOW);
  box.covered([1, 2]);
  assert.deepEqual(states(), ["a acked"]);
  box.covered([2, 3]);
  assert.deepEqual(states(), []);
});

test("a person's answer covers all that came before it, and nothing after", () => {
  const { box, states } = outbox();
  box.add({ id: "a", text: "a", time: NOW });
  box.add({ id: "b", text: "b", time: NOW });
  box.acked("a", 3, 7, NOW);
  box.acked("b", 5, 9, NOW);
  box.attended(4);
  assert.deepEqual(states(), ["b acked"]);
});

test("ten minutes after its ack nobody waits for it any more, and an unacked one waits for ever", () => {
  const { box, states } = outbox();
  box.add({ id: "a", text: "a", time: NOW });
  box.add({ id: "b", text: "b", time: NOW });
  box.acked("a", 1, 1, NOW);
  box.expire(NOW + 599_999);
  assert.deepEqual(states(), ["a acked", "b waiting"]);
  box.acked("a", 1, 1, NOW + 300_000); // a duplicate's ack does not begin the time anew
  box.expire(NOW + 600_000);
  assert.deepEqual(states(), ["b waiting"]);
  box.expire(NOW + 10 ** 9);
  assert.deepEqual(states(), ["b waiting"]);
});

test("an acked one that a snapshot should show and does not is sent again", () => {
  const { box, states } = outbox();
  box.add({ id: "a", text: "a", time: NOW });
  box.acked("a", 4, 9, NOW);
  box.compared([said(1, "other", NOW - 1000)], true, 9, NOW);
  assert.deepEqual(states(), ["a waiting"]);
  assert.equal(box.entries[0]!.m, undefined);
});

test("a snapshot that does not reach back to it says nothing about it", () => {
  const { box, states } = outbox();
  box.add({ id: "a", text: "a", time: NOW });
  box.acked("a", 4, 9, NOW);
  box.compared([said(90, "other", NOW + 1000)], true, 200, NOW);
  assert.deepEqual(states(), ["a acked"]);
  box.compared([said(90, "other", NOW + 1000)], false, 200, NOW);
  assert.deepEqual(states(), ["a waiting"]);
});

test("a snapshot that shows an unacked one is its ack, and its answer's end", () => {
  const { box, states } = outbox();
  for (const id of ["a", "b", "c"]) {
    box.add({ id, text: id, time: NOW });
    box.sent(id);
  }
  box.compared([said(1, "a"), answer(2, [1]), said(3, "b"), answer(4, [3], false)], false, 6, NOW);
  assert.deepEqual(states(), ["b acked", "c sent"]);
});

test("the server's time counts once it is known", () => {
  const { box, states } = outbox();
  box.add({ id: "a", text: "a", time: NOW + 86_400_000 }); // this clock is a day ahead
  box.created(said(1, "a", NOW), 1, NOW);
  box.compared([said(9, "other", NOW + 5)], true, 30, NOW);
  assert.deepEqual(states(), ["a acked"]);
});

test("a refused one is not sent again by itself, and the same id goes when a person wants it", () => {
  const { box, states } = outbox();
  box.add({ id: "a", text: "a", time: NOW });
  box.sent("a");
  box.refused("a", "text_too_long");
  assert.deepEqual(box.unacked(), []);
  assert.equal(box.entries[0]!.code, "text_too_long");
  box.retry("a");
  assert.deepEqual(states(), ["a waiting"]);
  assert.equal(box.entries[0]!.code, undefined);
});

test("when a frame ended the socket, all that were on it fail, and those that waited do not", () => {
  const { box, states } = outbox();
  for (const id of ["a", "b", "c"]) box.add({ id, text: id, time: NOW });
  box.acked("a", 1, 1, NOW);
  box.sent("b");
  box.poisoned("frame_refused");
  assert.deepEqual(states(), ["a acked", "b failed", "c waiting"]);
});

test("what was written offline survives a reload; two tabs do not overwrite each other", () => {
  const shelf = new MapShelf();
  const here = outbox(shelf);
  const there = outbox(shelf);
  here.box.add({ id: "a", text: "from here", time: NOW, page: "https://shop.example/" });
  there.box.add({ id: "b", text: "from there", time: NOW });
  there.box.sent("b");
  const later = outbox(shelf);
  assert.deepEqual(later.states(), ["a waiting", "b waiting"]);
  assert.equal(later.box.entries[0]!.page, "https://shop.example/");
  here.box.remove("a");
  assert.deepEqual([...shelf.kept.keys()], ["b"]);
});

test("what somebody else left in the storage is not taken for ours", () => {
  const shelf = new MapShelf();
  for (const [id, text] of Object.entries({ a: "no JSON", b: "{}", c: '{"id":"c","text":4,"time":1,"state":"sent"}', d: "null" })) {
    shelf.set(id, text);
  }
  assert.deepEqual(outbox(shelf).states(), []);
});

test("it is full at fifty unsent ones", () => {
  const { box } = outbox();
  for (let n = 0; n < 50; n += 1) {
    assert.equal(box.full, false);
    box.add({ id: `${n}`, text: "x", time: NOW });
  }
  assert.equal(box.full, true);
  box.acked("7", 1, 1, NOW);
  assert.equal(box.full, false);
});

test("ids are UUIDs of version 7, different and sortable by time", () => {
  let seed = 1;
  const fill = (bytes: Uint8Array) => bytes.forEach((_, index) => (bytes[index] = (seed = (seed * 75 + 74) % 65537) & 0xff));
  const ids = Array.from({ length: 500 }, (_, n) => uuid7(1_760_000_000_000 + n * 7, fill));
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(new Set(ids).size, ids.length);
  assert.deepEqual([...ids].sort(), ids);
  assert.equal(parseInt(ids[0]!.replaceAll("-", "").slice(0, 12), 16), 1_760_000_000_000);
});
