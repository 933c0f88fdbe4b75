/** The small pure parts behind the screen: sentences, links, colours, directions, sessions, the host's words. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { redeem } from "../src/core/session.ts";
import { understand } from "../src/panel/host.ts";
import { contrast, parseColor, readableOn, textOn } from "../src/ui/color.ts";
import { directionOf } from "../src/ui/direction.ts";
import { Sentences, spoken } from "../src/ui/sentences.ts";

function tell(locale: string, text: string, size: number): string[] {
  const sentences = new Sentences(locale);
  const units = [...text];
  const told: string[] = [];
  for (let at = 0; at < units.length; at += size) told.push(...sentences.push(units.slice(at, at + size).join("")));
  return [...told, ...sentences.flush()];
}

test("an announcement is whole sentences, once and in order, however the text arrives", () => {
  const texts: [string, string, string[]][] = [
    ["en", "Yes, we **do**. It takes 3 days.", ["Yes, we do.", "It takes 3 days."]],
    ["de", "Ja. Das dauert drei Tage!", ["Ja.", "Das dauert drei Tage!"]],
    ["zh", "可以的。三天送达！", ["可以的。", "三天送达！"]],
    ["ar", "نعم. خلال ثلاثة أيام؟ نعم", ["نعم.", "خلال ثلاثة أيام؟", "نعم"]],
    ["ja", "はい。三日です。", ["はい。", "三日です。"]],
  ];
  for (const [locale, text, expected] of texts) {
    for (const size of [1, 2, 3, 7, 1000]) assert.deepEqual(tell(locale, text, size), expected, `${locale} by ${size}`);
  }
});

test("a text without sentence marks is told in parts, nothing lost", () => {
  const text = Array.from({ length: 120 }, (_, n) => `word${n}`).join(" ");
  const told = tell("en", text, 5);
  assert.ok(told.length >= 3);
  assert.ok(told.every((part) => part.length <= 210));
  assert.equal(told.join(" "), text);
});

test("marks are not read out", () => {
  assert.equal(spoken("# A\n- **b** `c` [d](https://e.example) SKU_AB_12 _f_"), "A b c d SKU_AB_12 f");
});

test("the first letter gives the direction; a number alone gives none", () => {
  assert.equal(directionOf("#10482 …"), null);
  assert.equal(directionOf("#10482 שלום"), "rtl");
  assert.equal(directionOf("SKU مرحبا"), "ltr");
  assert.equal(directionOf("12", "ar"), "rtl");
  assert.equal(directionOf("مرحبا", "en"), "ltr");
  assert.equal(directionOf("مرحبا", "no tag!"), "rtl");
});

test("on any colour text can be read, and any colour can be made readable as text", () => {
  for (let step = 0; step < 4096; step += 7) {
    const color = [(step & 15) * 17, ((step >> 4) & 15) * 17, (step >> 8) * 17] as const;
    assert.ok(contrast(color, textOn(color)) >= 4.5, `${color}`);
    for (const background of [[255, 255, 255], [23, 25, 31]] as const) {
      assert.ok(contrast(readableOn(color, background), background) >= 4.5, `${color} on ${background}`);
    }
  }
});

test("only a plain hexadecimal colour is a colour", () => {
  assert.deepEqual(parseColor("#fff"), [255, 255, 255]);
  assert.deepEqual(parseColor(" #2F5bea "), [47, 91, 234]);
  for (const text of ["red", "#ff", "#fffff", "url(x)", "#ggg", "", null]) assert.equal(parseColor(text), null);
});

const answer = (status: number, body: unknown, headers: Record<string, string> = {}) => () =>
  Promise.resolve(new Response(JSON.stringify(body), { status, headers }));
const GRANT = { token: "t", conversation: "c", resume: "r", resumed: true };

test("a session is granted, refused for good, or not to be had now", async () => {
  const ask = (fetch: () => Promise<Response>) => redeem(fetch, "/v1/sessions", "pk_demo", "handle");
  assert.deepEqual(await ask(answer(200, GRANT)), { kind: "granted", session: GRANT });
  assert.deepEqual(await ask(answer(403, { code: "origin_refused", detail: "not listed" })), {
    kind: "refused", code: "origin_refused", message: "not listed",
  });
  assert.deepEqual(await ask(answer(404, null)), { kind: "refused", code: "http_404", message: "" });
  assert.deepEqual(await ask(answer(429, {}, { "retry-after": "7" })), { kind: "unreachable", retryMs: 7_000 });
  assert.deepEqual(await ask(answer(503, { retry_ms: 1_500 })), { kind: "unreachable", retryMs: 1_500 });
  assert.deepEqual(await ask(answer(200, { token: "t" })), { kind: "unreachable", retryMs: 0 });
  const portal = () => Promise.resolve(new Response("<html>Log in</html>"));
  assert.deepEqual(await ask(portal), { kind: "unreachable", retryMs: 0 });
  assert.deepEqual(await ask(() => Promise.reject(new TypeError("offline"))), { kind: "unreachable", retryMs: 0 });
});

test("the request holds the site and the handle, and nothing in its address", async () => {
  const asked: [string, RequestInit][] = [];
  const fetch = (url: string, init: RequestInit) => {
    asked.push([url, init]);
    return Promise.resolve(new Response(JSON.stringify(GRANT)));
  };
  await redeem(fetch, "/v1/sessions", "pk_demo", null);
  await redeem(fetch, "/v1/sessions", "pk_demo", "handle");
  assert.deepEqual(asked.map(([url, { body }]) => [url, body]), [
    ["/v1/sessions", '{"site":"pk_demo"}'],
    ["/v1/sessions", '{"site":"pk_demo","resume":"handle"}'],
  ]);
  assert.equal(asked[0]![1].credentials, "omit");
});

test("of what the shop's page says, only what has the right shape is heard", () => {
  assert.deepEqual(understand({ type: "open" }), { type: "open" });
  assert.deepEqual(understand({ type: "send", text: "Hi" }), { type: "send", text: "Hi" });
  const nonsense = [
    null, 4, "open", [], {}, { type: "fly" }, { type: "constructor" }, { type: "send" }, { type: "send", text: 4 },
    { type: "identify", jwt: { toString: () => "x" } }, { type: "send", text: "x".repeat(16_385) }, { type: "look", theme: "dark" },
  ];
  for (const message of nonsense) assert.equal(understand(message), null);
});
