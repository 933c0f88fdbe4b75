import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import type { Text, Texts } from "../src/core/locale.ts";
import { canonical, direction, match, translator } from "../src/core/locale.ts";
import { queueText } from "../src/ui/progress.tsx";

const read = (name: string) => JSON.parse(readFileSync(`${WIDGET}/locales/${name}`, "utf8")) as Texts;
const LOCALES = Object.fromEntries(
  readdirSync(`${WIDGET}/locales`).map((name) => [name.replace(".json", ""), read(name)] as const),
);
const ENGLISH = LOCALES.en!;
const forms = (text: Text) => (typeof text === "string" ? [text] : Object.values(text));
const names = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
/** What Arabic, German and Chinese say in whole words, they may say without the number. */
const SPELLED = new Set(["zero", "one", "two"]);

test("the four languages of the first version are there", () => {
  for (const locale of ["en", "zh", "ar", "de"]) assert.ok(locale in LOCALES, locale);
});

for (const [locale, texts] of Object.entries(LOCALES)) {
  test(`${locale} has every text, none of them empty, and none that nobody asks for`, () => {
    assert.deepEqual(Object.keys(texts).sort(), Object.keys(ENGLISH).sort());
    for (const [key, text] of Object.entries(texts)) for (const form of forms(text)) assert.ok(form.trim() !== "", key);
  });

  test(`${locale} has the placeholders of the English text`, () => {
    for (const [key, text] of Object.entries(texts)) {
      const wanted = [...new Set(forms(ENGLISH[key]!).flatMap(names))].sort();
      for (const [category, form] of typeof text === "string" ? [["other", text] as const] : Object.entries(text)) {
        const has = [...new Set(names(form as string))].sort();
        const may = SPELLED.has(category) ? wanted.filter((name) => name !== "n" || has.includes("n")) : wanted;
        assert.deepEqual(has, may, `${key} ${category}`);
      }
    }
  });

  test(`${locale} has every plural category that its language has`, () => {
    const wanted = new Intl.PluralRules(locale).resolvedOptions().pluralCategories;
    for (const [key, text] of Object.entries(texts)) {
      if (typeof ENGLISH[key] === "string") assert.equal(typeof text, "string", key);
      else for (const category of wanted) assert.ok(category in (text as object), `${key} ${category}`);
    }
  });

  test(`${locale} can say every text`, () => {
    const t = translator(locale, texts);
    for (const key of Object.keys(texts)) {
      for (const n of [0, 1, 2, 3, 5, 11, 25, 100]) {
        const said = t(key, { n, name: "Anna", place: "P", eta: "E", contact: "C" });
        assert.ok(!/[{}]|undefined/.test(said), said);
      }
    }
  });
}

/** Said by the name of an answer's state or end. */
const BY_NAME = /^(reason_\w+|queued|thinking|searching|tool|translating)$/;

test("the sources ask for no text that is not there, and for all that are", () => {
  const sources = ["ui", "panel"].flatMap((folder) =>
    readdirSync(`${WIDGET}/src/${folder}`)
      .filter((name) => /tsx?$/.test(name))
      .map((name) => readFileSync(`${WIDGET}/src/${folder}/${name}`, "utf8")),
  );
  const all = sources.join("\n");
  const asked = [...all.matchAll(/\b(?:t|t\.value|t\.peek\(\)|again)\(\s*"([a-z_]+)"/g)].map(([, key]) => key!);
  assert.ok(asked.length > 30);
  for (const key of asked) assert.ok(key in ENGLISH, key);
  for (const key of Object.keys(ENGLISH)) {
    assert.ok(all.includes(`"${key}"`) || BY_NAME.test(key), `nobody says ${key}`);
  }
});

test("a text or a value that is missing raises", () => {
  const t = translator("en", { hello: "Hello {name}" });
  assert.throws(() => t("bye"), /no text bye/);
  assert.throws(() => t("hello"), /no name/);
});

test("numbers pick the plural and are written in the locale's own digits", () => {
  const t = translator("ar-EG", LOCALES.ar!);
  assert.match(t("units_over", { n: 1 }), /حرف واحد زائد/);
  assert.match(t("units_over", { n: 3 }), /٣ أحرف/);
  assert.match(t("units_over", { n: 11 }), /١١ حرفًا/);
});

test("a place in the queue is said in words", () => {
  const t = translator("en", ENGLISH);
  const say = (position: number, eta_ms: number) => queueText(t, { type: "queue.updated", position, eta_ms, reason: "model" });
  assert.equal(say(3, 18_200), "You are number 3 in the queue, about 20 seconds");
  assert.equal(say(1, 400), "You are number 1 in the queue, about 5 seconds");
  assert.equal(say(0, 0), "You are number 1 in the queue, about 5 seconds");
  assert.equal(say(41, 91_000), "You are number 41 in the queue, about 2 minutes");
});

test("the nearest locale is found by tag, script and language; wishes in their order", () => {
  const available = ["en", "zh", "zh-Hant", "pt", "no", "sr-Latn"];
  const cases: [(string | null)[], string | null][] = [
    [["en-GB"], "en"],
    [["zh-TW"], "zh-Hant"],
    [["zh-Hant-HK"], "zh-Hant"],
    [["zh-CN"], "zh"],
    [["pt-BR"], "pt"],
    [["nb-NO"], "no"],
    [["nn"], "no"],
    [["sr"], "sr-Latn"],
    [["fr", "de", "en"], "en"],
    [[null, "", "not a tag!", "en_US"], "en"],
    [["fr"], null],
  ];
  for (const [wishes, expected] of cases) assert.equal(match(wishes, available), expected, `${wishes}`);
  assert.equal(canonical("EN-us"), "en-US");
  assert.equal(canonical("<script>"), null);
});

test("right-to-left is known by language", () => {
  for (const locale of ["ar", "ar-EG", "fa", "he-IL", "ur"]) assert.equal(direction(locale), "rtl");
  for (const locale of ["en", "zh", "de", "tr"]) assert.equal(direction(locale), "ltr");
});
