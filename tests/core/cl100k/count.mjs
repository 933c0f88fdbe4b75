// Writes counts.json: how many tokens cl100k_base cuts the reference texts into.
//
//   npm install --no-save js-tiktoken@1.0.21   (in a folder outside the repository)
//   node tests/core/cl100k/count.mjs path/to/node_modules
//
// Run it again when a text has changed: counts.json holds each text's hash, and the test compares.
import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(path.resolve(process.argv[2] ?? "node_modules", "x.js"));
const { Tiktoken } = require("js-tiktoken/lite");
const encoding = new Tiktoken(require("js-tiktoken/ranks/cl100k_base"));

const read = (name) => JSON.parse(fs.readFileSync(path.join(here, name), "utf8"));
const counted = (texts) => ({
  sha256: crypto.createHash("sha256").update(texts.join("\n")).digest("hex"),
  tokens: texts.reduce((sum, text) => sum + encoding.encode(text, [], []).length, 0),
});

const samples = read("../samples/languages.json");
const chat = read("held_out.json");
const odd = read("odd.json");
const counts = { samples: {}, held_out: {}, odd: {} };
for (const [code, text] of Object.entries(samples)) counts.samples[code] = counted([text]);
for (const [code, texts] of Object.entries(chat)) counts.held_out[code] = counted(texts);
for (const [name, text] of Object.entries(odd)) counts.odd[name] = counted([text]);
fs.writeFileSync(path.join(here, "counts.json"), `${JSON.stringify(counts, null, 2)}\n`);
