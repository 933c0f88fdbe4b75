// Builds the browser's files into ../service/edge/assets: hashed names, .br and .gz beside each, and
// manifest.json, by which the server serves them. Fails where a file is larger than its budget.
//
//   widget.js          the loader; its name is the public one, so it has no hash
//   panel.HASH.js/css  the panel, one file each
//   panel.LOCALE.html  a template for each locale, its texts inside; the server puts {{site}},
//                      {{site_name}} and {{contact}} in, HTML-escaped
//   locale.LOCALE.HASH.json  the texts again, for a change of language without a reload
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const built = join(here, "../service/edge/assets");
const out = `${built}.new`; // takes the old one's place at the end: nobody ever finds half of it
const BUDGET = { loader: 2_500, panel: 30_720 }; // bytes in brotli: 2.5 KB, and 30 KiB with one locale
const RIGHT_TO_LEFT = new Set(["ar", "fa", "he", "ur"]);
const TYPES = { js: "text/javascript", css: "text/css", html: "text/html", json: "application/json" };

async function bundle(entry, options = {}) {
  const { outputFiles } = await build({
    entryPoints: [join(here, entry)],
    bundle: true,
    write: false,
    minify: true,
    legalComments: "none",
    charset: "utf8",
    target: ["chrome108", "firefox115", "safari16.4"],
    define: { "process.env.NODE_ENV": '"production"' },
    drop: ["console", "debugger"],
    ...options,
  });
  return outputFiles[0].text;
}

function compressed(text) {
  const bytes = Buffer.from(text);
  const br = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } });
  return { bytes, br, gz: gzipSync(bytes, { level: 9 }) };
}

const files = {};
function emit(name, text) {
  const { bytes, br, gz } = compressed(text);
  writeFileSync(join(out, name), bytes);
  writeFileSync(join(out, `${name}.br`), br);
  writeFileSync(join(out, `${name}.gz`), gz);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  files[name] = { type: TYPES[name.split(".").pop()], bytes: bytes.length, br: br.length, gz: gz.length, sha256 };
  return name;
}

function hashed(stem, extension, text) {
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 10);
  return emit(`${stem}.${hash}.${extension}`, text);
}

/** JSON that may stand inside a script element: no `<` that could end it, no braces for the server. */
function embedded(value) {
  return JSON.stringify(value).replaceAll("<", "\\u003c").replaceAll("{{", "{ {");
}

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

// Without the workspace's tsconfig, which would cost the loader a "use strict" it does not need.
const loader = emit("widget.js", await bundle("src/loader/loader.ts", { format: "iife", tsconfigRaw: "{}" }));
const js = hashed(
  "panel",
  "js",
  await bundle("src/panel/main.tsx", { format: "esm", jsx: "automatic", jsxImportSource: "preact" }),
);
const css = hashed("panel", "css", await bundle("src/panel/panel.css"));

const locales = readdirSync(join(here, "locales")).map((name) => name.replace(/\.json$/, ""));
const texts = Object.fromEntries(
  locales.map((locale) => [locale, JSON.parse(readFileSync(join(here, `locales/${locale}.json`), "utf8"))]),
);
const names = Object.fromEntries(
  locales.map((locale) => [locale, hashed(`locale.${locale}`, "json", JSON.stringify(texts[locale]))]),
);
const template = readFileSync(join(here, "src/panel/panel.html"), "utf8");
const panel = {};
for (const locale of locales) {
  const values = {
    LOCALE: locale,
    DIR: RIGHT_TO_LEFT.has(locale) ? "rtl" : "ltr",
    TITLE: texts[locale].title,
    CSS: css,
    JS: js,
    PAGE: embedded({ locale, texts: texts[locale], locales: names }),
  };
  const html = emit(`panel.${locale}.html`, template.replace(/%([A-Z]+)%/g, (_, name) => values[name]));
  panel[locale] = { html, files: [js, css] };
}

writeFileSync(
  join(out, "manifest.json"),
  `${JSON.stringify({ loader: { file: loader, ...files[loader] }, panel, files }, null, 2)}\n`,
);

const sizes = [["loader", files[loader].br, BUDGET.loader]].concat(
  locales.map((locale) => [
    `panel ${locale}`,
    [js, css, panel[locale].html].reduce((sum, name) => sum + files[name].br, 0),
    BUDGET.panel,
  ]),
);
for (const [what, size, budget] of sizes) console.log(`${what.padEnd(10)} ${size} of ${budget} bytes in brotli`);
if (sizes.some(([, size, budget]) => size > budget)) {
  console.error("too large: see the budgets at the top of build.mjs");
  process.exit(1);
}
rmSync(built, { recursive: true, force: true });
renameSync(out, built);
