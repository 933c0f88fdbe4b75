// Runs every test/**/*.test.ts under node's own test runner. esbuild strips the types first, so that
// this works on a Node that cannot; the bundles go to test/.build and are thrown away on each run.
import { spawn } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const outdir = join(here, ".build");
const only = process.argv.slice(2);

const tests = readdirSync(here)
  .filter((name) => name.endsWith(".test.ts") && (only.length === 0 || only.some((part) => name.includes(part))))
  .map((name) => join(here, name));

rmSync(outdir, { recursive: true, force: true });
await build({
  entryPoints: tests,
  outdir,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  sourcemap: "inline",
  logLevel: "warning",
  define: { FRAMES: JSON.stringify(join(here, "../../tests/frames")), WIDGET: JSON.stringify(join(here, "..")) },
});

const files = readdirSync(outdir).map((name) => join(outdir, name));
const runner = spawn(process.execPath, ["--enable-source-maps", "--test", ...files], { stdio: "inherit" });
runner.on("exit", (code, signal) => process.exit(signal ? 1 : code));
