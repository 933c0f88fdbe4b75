// Writes service/core/token_pieces.py: the pieces of cl100k_base that the estimate knows.
//
//   npm install --no-save js-tiktoken@1.0.21   (in a folder outside the repository)
//   node tests/core/cl100k/pieces.mjs path/to/node_modules
//
// Taken are all pieces of letters in scripts other than Latin, of which cl100k_base has few; of the
// Latin ones the LOW_RANKS most frequent, and each that is a whole word of the texts which Parley
// itself has in 26 languages: frequent words of any language are frequent in its shops too.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const LOW_RANKS = 2500; // of 70,000: what the rest adds in accuracy does not pay for its bytes
const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, "../../..");
const require = createRequire(path.resolve(process.argv[2] ?? "node_modules", "x.js"));
const ranks = require("js-tiktoken/ranks/cl100k_base");

const vocabulary = [];
for (const line of ranks.bpe_ranks.split("\n")) {
  for (const token of line.split(" ").slice(2)) vocabulary.push(Buffer.from(token, "base64"));
}

const texts = path.join(root, "service/core/texts");
const sources = [
  fs.readFileSync(path.join(root, "tests/core/samples/languages.json"), "utf8"),
  fs.readFileSync(path.join(root, "service/core/language_marks.py"), "utf8"),
  ...fs.readdirSync(texts).sort().map((name) => fs.readFileSync(path.join(texts, name), "utf8")),
];
const words = new Set(sources.join("\n").toLowerCase().match(/\p{L}+/gu));

const pieces = [];
let latin = 0;
for (const bytes of vocabulary) {
  const piece = bytes.toString("utf8");
  const word = piece.replace(/^ /, "");
  if (!/^\p{L}+$/u.test(word) || piece !== piece.toLowerCase()) continue;
  if (word.length === 1 && word <= "\x7f") continue; // each ASCII letter is a piece anyway
  if (/^\p{Script=Latin}+$/u.test(word)) {
    latin += 1;
    if (latin > LOW_RANKS && !(piece.startsWith(" ") && words.has(word))) continue;
  }
  pieces.push(piece);
}

const wide = /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|ー/u;
const width = (text) => [...text].reduce((sum, letter) => sum + (wide.test(letter) ? 2 : 1), 0);

function block(name, entries) {
  const lines = [""];
  for (const entry of [...new Set(entries)].sort()) {
    if (width(lines.at(-1)) + width(entry) > 97) lines.push("");
    lines[lines.length - 1] += (lines.at(-1) ? " " : "") + entry;
  }
  return `${name} = """\n${lines.join("\n")}\n"""\n`;
}

const starts = pieces.filter((piece) => piece.startsWith(" ")).map((piece) => piece.slice(1));
const inner = pieces.filter((piece) => !piece.startsWith(" "));
fs.writeFileSync(
  path.join(root, "service/core/token_pieces.py"),
  `"""The most frequent pieces that cl100k_base cuts words into; written by a program, not by hand.

tests/core/cl100k/pieces.mjs says which pieces these are, and writes them anew. The pieces are from
tiktoken, Copyright (c) 2022 OpenAI, Shantanu Jain, MIT licence.
"""

# Pieces that stand after a space, at the start of a word.
${block("STARTS", starts)}
# Pieces anywhere else.
${block("INNER", inner)}`,
);
console.log(`${starts.length} starts, ${inner.length} inner pieces`);
