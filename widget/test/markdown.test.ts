import assert from "node:assert/strict";
import { test } from "node:test";

import { MarkdownStream } from "../src/ui/markdown.ts";
import { FakeElement, document, made, read, textOf } from "./dom.ts";

function render(chunks: readonly string[]): FakeElement {
  const root = new FakeElement("root");
  const stream = new MarkdownStream(root as unknown as Element, document, "Table");
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  return root;
}

const CORPUS: readonly (readonly [string, string])[] = [
  ["plain", "<p>plain</p>"],
  ["a **b** and *c*", "<p>a <strong>b</strong> and <em>c</em></p>"],
  ["_em_ and __strong__", "<p><em>em</em> and <strong>strong</strong></p>"],
  ["***both***", "<p><strong><em>both</em></strong></p>"],
  ["~~old~~ new", "<p><s>old</s> new</p>"],
  ["价格**99元**起", "<p>价格<strong>99元</strong>起</p>"],
  // inside words and numbers
  ["SKU_AB_12", "<p>SKU_AB_12</p>"],
  ["SKU_AB_12 and price_per_unit, x__y__z", "<p>SKU_AB_12 and price_per_unit, x__y__z</p>"],
  ["_foo_bar_", "<p><em>foo_bar</em></p>"],
  ["3*2, 4*5", "<p>3*2, 4*5</p>"],
  ["snake_case_", "<p>snake_case_</p>"],
  // never closed
  ["a *b c", "<p>a *b c</p>"],
  ["a **b c\n\nnext", "<p>a **b c</p><p>next</p>"],
  ["use _id here\n\nnext _x_", "<p>use _id here</p><p>next <em>x</em></p>"],
  ["a `b c\n\nnext", "<p>a `b c</p><p>next</p>"],
  ["open *one\n* item", "<p>open *one</p><ul><li>item</li></ul>"],
  ["~~half", "<p>~~half</p>"],
  // money and mathematics
  ["It costs $10 or $20", "<p>It costs $10 or $20</p>"],
  ["$x$ and $$y$$ and US$a b$", "<p>$x$ and $$y$$ and US$a b$</p>"],
  ["$CAD 5\n\n- a", "<p>$CAD 5</p><ul><li>a</li></ul>"],
  ["\\(a\\) \\[b\\]", "<p>(a) [b]</p>"],
  ["\\[\nx\n\\]", "<p>[<br>x<br>]</p>"],
  ["\\*no\\* \\_no\\_ \\$5 \\\\", "<p>*no* _no_ $5 \\</p>"],
  // code
  ["`a_b_c $x$ \\(`", "<p><code>a_b_c $x$ \\(</code></p>"],
  ["`$x`", "<p><code>$x</code></p>"],
  ["```js\na_b_c(*x*, $y);\n```\nafter", "<pre><code>a_b_c(*x*, $y);</code></pre><p>after</p>"],
  ["```\nnever closed\n- x", "<pre><code>never closed\n- x</code></pre>"],
  // blocks
  ["# One\n## Two *em*", "<p><strong>One</strong></p><p><strong>Two <em>em</em></strong></p>"],
  ["- a\n- b\n  - c", "<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>"],
  ["3. a\n4. b", "<ol start=3><li>a</li><li>b</li></ol>"],
  ["> quoted\n> on", "<blockquote><p>quoted<br>on</p></blockquote>"],
  ["a\nb", "<p>a<br>b</p>"],
  ["a\n\n---\n\nb", "<p>a</p><hr><p>b</p>"],
  ["- [ ] a\n- [x] b", "<ul><li><span>☐</span> a</li><li><span>☑</span> b</li></ul>"],
  [
    "| A | B |\n|---|---|\n| 1 | https://a.example/x |\n",
    "<div><table><tr><th> A </th><th> B </th></tr><tr><td> 1 </td><td> <a href=https://a.example/x>https://a.example/x</a> </td></tr></table></div>",
  ],
  // links
  ["[a](https://a.example/x)", "<p><a href=https://a.example/x>a</a></p>"],
  ['[a](https://a.example/x "title")', "<p><a href=https://a.example/x>a</a></p>"],
  ["[a](<https://a.example/x>)", "<p><a href=https://a.example/x>a</a></p>"],
  ["[a](https://a.example/b_(c)_d) e", "<p><a href=https://a.example/b_(c)_d>a</a> e</p>"],
  ["[mail](mailto:a@b.example) [call](tel:+4912)", "<p><a href=mailto:a@b.example>mail</a> <a href=tel:+4912>call</a></p>"],
  ["see [1] and [x](a note)", "<p>see [1] and [x](a note)</p>"],
  ["[half", "<p>[half</p>"],
  ["[half](https://a.exa", "<p>[half](https://a.exa</p>"],
  ["[half](https://a\n\nnext", "<p>[half](https://a</p><p>next</p>"],
  ["https://a.example/b_c_d.", "<p><a href=https://a.example/b_c_d>https://a.example/b_c_d</a>.</p>"],
  ["(https://a.example/b)", "<p>(<a href=https://a.example/b>https://a.example/b</a>)</p>"],
  ["https://a.example/w_(x)!", "<p><a href=https://a.example/w_(x)>https://a.example/w_(x)</a>!</p>"],
  ["**https://a.example/b** c", "<p><strong><a href=https://a.example/b>https://a.example/b</a></strong> c</p>"],
  ["请看 https://a.example/b。谢谢", "<p>请看 <a href=https://a.example/b>https://a.example/b</a>。谢谢</p>"],
  ["请看：https://a.example/b，", "<p>请看：<a href=https://a.example/b>https://a.example/b</a>，</p>"],
  ["<https://a.example/b>", "<p>&lt;<a href=https://a.example/b>https://a.example/b</a>&gt;</p>"],
  ["https://a.example/b\\_c", "<p><a href=https://a.example/b>https://a.example/b</a>_c</p>"],
  ["http://a.example and ht", "<p>http://a.example and ht</p>"],
  // images, HTML and what would lead astray
  ["![a cat](https://evil.example/p.png?q=secret)", "<p><span>a cat</span></p>"],
  ["<b>x</b> <img src=x onerror=alert(1)> &lt;", "<p>&lt;b&gt;x&lt;/b&gt; &lt;img src=x onerror=alert(1)&gt; &lt;</p>"],
  ["a<br>b", "<p>a<br>b</p>"],
  ["[a](javascript:alert%281%29)", "<p>a</p>"],
  ["[a](JaVaScRiPt:alert)", "<p>a</p>"],
  ["[a](data:text/html,x) [b](vbscript:x) [c](/relative) [d](//evil.example)", "<p>a b c d</p>"],
  ["[a](http://a.example) [b](ftp://a.example) [c](https://u:p@evil.example)", "<p>a b c</p>"],
  ["abc\u202Etxt\u2066", "<p>abctxt</p>"],
  ["👩‍👩‍👧 e\u0301 שלום", "<p>👩‍👩‍👧 e\u0301 שלום</p>"],
];

for (const [text, expected] of CORPUS) {
  test(`${JSON.stringify(text)} is shown the same whole, by character and under every cut`, () => {
    assert.equal(read(render([text])), expected);
    assert.equal(read(render([...text])), expected, "by character");
    const units = [...text];
    for (let cut = 1; cut < units.length; cut += 1) {
      const halves = [units.slice(0, cut).join(""), units.slice(cut).join("")];
      assert.equal(read(render(halves)), expected, `cut at ${cut}`);
    }
  });
}

test("what was cut off keeps its marks' meaning", () => {
  const root = new FakeElement("root");
  const stream = new MarkdownStream(root as unknown as Element, document, "Table");
  stream.write("takes **3 to [half](https://a.ex");
  stream.end(true);
  assert.equal(read(root), "<p>takes <strong>3 to [half](https://a.ex</strong></p>");
});

test("every link opens elsewhere, tells nothing, and shows its host in ASCII", () => {
  const shown = read(render(["[a](https://аpple.example/)"]), ["rel", "target", "title"]);
  assert.equal(
    shown,
    "<p><a rel=noopener noreferrer nofollow ugc target=_blank title=xn--pple-43d.example>a</a></p>",
  );
});

test("a wide table can be reached and scrolled by keyboard", () => {
  assert.match(read(render(["| a |\n|---|\n"]), ["role", "tabindex", "aria-label"]), /<div role=region tabindex=0 aria-label=Table>/);
});

const PIECES = "*|**|_|__|`|```\n|[|](|)|![|https://a.example|javascript:|$|$$|\\|\n|\n\n|# |- |1. |> ||| a |b|_c|9|<br>|<|~~|  |x|…|,".split("|");

test("no mixture of marks throws, loses its words, leaves the closed set or depends on its cuts", () => {
  let seed = 7;
  const next = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  for (let round = 0; round < 3000; round += 1) {
    const pieces = Array.from({ length: 3 + next(14) }, () => PIECES[next(PIECES.length)]!);
    const whole = read(render([pieces.join("")]));
    assert.equal(read(render(pieces)), whole, JSON.stringify(pieces));
    assert.ok(!/href=(?!https:\/\/a\.example)/.test(whole), whole);
  }
  const allowed = "p strong em s code a span blockquote ul ol li br hr pre div table tr th td".split(" ");
  assert.deepEqual([...made].filter((tag) => !allowed.includes(tag)), []);
});

test("depth and length without end stay text", () => {
  assert.ok(textOf(render(["[".repeat(100_000)])).length >= 99_999);
  assert.match(textOf(render([`${"> ".repeat(60)}deep end`])), /deep end$/);
  assert.match(textOf(render([`${Array.from({ length: 40 }, (_, n) => `${"  ".repeat(n)}- x`).join("\n")}\nlast`])), /last$/);
});
