/**
 * Streaming Markdown to DOM nodes, never through HTML.
 *
 * smd splits the text; what may appear on the screen is decided here, by a closed map from its
 * tokens to elements. Text goes into text nodes. An address becomes a link only if `safeHref` lets
 * it. Images become their text: fetching one would tell a third party what the model was made to say.
 *
 * The text is fed character by character, so how the network cut it cannot change the result. And
 * smd reads some things that shop talk does not mean, so a few characters are held back or escaped
 * before it sees them:
 *
 *   SKU_AB_12, 3*2, 4*5    marks inside words or numbers are letters
 *   $10, US$30, \(, \[     there are no equations here
 *   [a](b (c)), https://…  addresses end where a reader would end them
 *
 * An emphasis, code or link that its block does not close was none: it is turned back into text.
 */

import * as smd from "streaming-markdown";

import { ENDS_ADDRESS, safeHref, targetOf, withoutTrailing } from "./links.ts";

/** The part of a document that is used, so that tests can bring a small one. */
export type Maker = Pick<Document, "createElement" | "createTextNode">;

/** What smd keeps about the text so far; pinned, and held to it by the corpus test. */
interface Parser {
  text: string;
  pending: string;
  token: number;
  readonly tokens: Uint32Array;
  readonly len: number;
}

interface Open {
  readonly token: number;
  /** Where text and children go. */
  readonly inner: Element;
  /** What was added to the parent, to be taken out again if it turns out to be none. */
  readonly outer: Element;
  target: string | null;
}

const MAYBE_URL = 102;
const MAYBE_BR = 104;
const MAYBE_EQ_BLOCK = 105;
const DEEPEST = 20; // smd's own arrays end at 24

const INLINE: Readonly<Record<number, { readonly tag: string; readonly mark: string }>> = {
  [smd.ITALIC_AST]: { tag: "em", mark: "*" },
  [smd.ITALIC_UND]: { tag: "em", mark: "_" },
  [smd.STRONG_AST]: { tag: "strong", mark: "**" },
  [smd.STRONG_UND]: { tag: "strong", mark: "__" },
  [smd.STRIKE]: { tag: "s", mark: "~~" },
  [smd.CODE_INLINE]: { tag: "code", mark: "`" },
};

/** The outer element and, where text goes further in, the inner one. */
const BLOCKS: Readonly<Record<number, readonly [string, string?]>> = {
  [smd.PARAGRAPH]: ["p"],
  [smd.HEADING_1]: ["p", "strong"],
  [smd.HEADING_2]: ["p", "strong"],
  [smd.HEADING_3]: ["p", "strong"],
  [smd.HEADING_4]: ["p", "strong"],
  [smd.HEADING_5]: ["p", "strong"],
  [smd.HEADING_6]: ["p", "strong"],
  [smd.BLOCKQUOTE]: ["blockquote"],
  [smd.LIST_UNORDERED]: ["ul"],
  [smd.LIST_ORDERED]: ["ol"],
  [smd.LIST_ITEM]: ["li"],
  [smd.LINE_BREAK]: ["br"],
  [smd.RULE]: ["hr"],
  [smd.CODE_BLOCK]: ["pre", "code"],
  [smd.CODE_FENCE]: ["pre", "code"],
  [smd.TABLE]: ["div", "table"],
  [smd.TABLE_ROW]: ["tr"],
  [smd.TABLE_CELL]: ["td"],
  [smd.CHECKBOX]: ["span"],
  [smd.IMAGE]: ["span"],
  [smd.LINK]: ["a"],
  [smd.RAW_URL]: ["a"],
  [smd.EQUATION_BLOCK]: ["span"],
  [smd.EQUATION_INLINE]: ["span"],
};

const VERBATIM = new Set<number>([smd.CODE_INLINE, smd.CODE_BLOCK, smd.CODE_FENCE, smd.IMAGE, smd.RAW_URL]);
/** Where running text may hold an address. */
const RUNNING = new Set<number>([
  smd.PARAGRAPH, smd.LIST_ITEM, smd.BLOCKQUOTE, smd.TABLE_CELL, smd.STRONG_AST, smd.STRONG_UND, smd.ITALIC_AST,
  smd.ITALIC_UND, smd.STRIKE,
]);
const WORD = /[\p{L}\p{N}]/u;
const DIGIT = /\d/;
/** These could make a text look like another one; the marks that only set a direction may stay. */
const OVERRIDES = /[\u202a-\u202e\u2066-\u2069]/;
/** Before an address, where smd asks for a space. */
const OPENS_ADDRESS = /[(（【「《“"'：:，。、<>*_~\u3040-\u9fff\uac00-\ud7af]/;

export class MarkdownStream {
  readonly #make: Maker;
  readonly #tableLabel: string;
  readonly #stack: Open[];
  readonly #parser: Parser;
  #text = "";
  #tail: Text | null = null;
  #held = ""; // a run of marks, or a backslash, until what follows tells what it is
  #before = "\n";
  #char = "";
  #cut = false; // the link target that ends now was cut off: no link
  #plain = false;
  #lenient = false;

  constructor(root: Element, make: Maker, tableLabel: string) {
    this.#make = make;
    this.#tableLabel = tableLabel;
    this.#stack = [{ token: smd.DOCUMENT, inner: root, outer: root, target: null }];
    this.#parser = smd.parser({
      data: null,
      add_token: (_, token: number) => this.#open(token),
      end_token: () => this.#close(),
      add_text: (_, text) => (this.#text += text),
      set_attr: (_, attribute, value) => this.#attribute(attribute, value),
    }) as unknown as Parser;
  }

  /** May be any part of the text, half a word included, but no half surrogate pair. */
  write(text: string): void {
    for (const char of text) if (!OVERRIDES.test(char)) this.#step(char);
    this.#flush();
  }

  /** No more will come: what is still open was not meant, unless the text was cut off before its end. */
  end(cutOff = false): void {
    this.#release("");
    if (this.#inTarget()) this.#cutTarget();
    if (!this.#plain) smd.parser_end(this.#parser as never);
    this.#char = "";
    this.#lenient = cutOff;
    while (this.#stack.length > 1) this.#close();
    this.#flush();
  }

  // -- before smd sees it -------------------------------------------------------------------------

  #step(char: string): void {
    if (this.#plain) {
      this.#text += char;
      return;
    }
    if (this.#held !== "" && char === this.#held[0] && char !== "\\") {
      this.#held += char;
      return;
    }
    this.#release(char);
    if (this.#held === "" && this.#isText() && (char === "_" || char === "*" || char === "\\")) {
      this.#held = char;
      return;
    }
    this.#pass(char);
    this.#before = char;
  }

  /** Feeds what was held back, now that `next` is known ("" at the end). */
  #release(next: string): void {
    const held = this.#held;
    if (held === "") return;
    this.#held = "";
    if (held === "\\") {
      // smd would begin an equation at \( and \[
      if (next !== "(") this.#feed("\\");
    } else {
      const inside =
        held[0] === "_"
          ? WORD.test(this.#before) && WORD.test(next)
          : held === "*" && DIGIT.test(this.#before) && DIGIT.test(next);
      for (const mark of held) {
        if (inside) this.#feed("\\");
        this.#feed(mark);
      }
    }
    this.#before = held[0]!;
  }

  #pass(char: string): void {
    const parser = this.#parser;
    if (this.#inTarget()) {
      if (char === "\n") this.#cutTarget();
      // A parenthesis that was opened inside the target closes there, and does not end it.
      else if (char === ")" && opened(parser.pending.slice(2))) return [..."%29"].forEach((c) => this.#feed(c));
    } else if (parser.tokens[parser.len] === smd.RAW_URL && ENDS_ADDRESS.test(char) && char !== " " && char !== "\n") {
      this.#feed("\\"); // ends it, and would escape what follows
      parser.pending = "";
      return this.#step(char);
    } else if (char === "$" && this.#isText()) {
      this.#feed("\\");
    }
    this.#feed(char);
    if (parser.token === MAYBE_EQ_BLOCK) {
      parser.token = parser.tokens[parser.len]!;
      parser.text += parser.pending.slice(-1);
      parser.pending = "";
    } else if (char === "h" && OPENS_ADDRESS.test(this.#before)) {
      this.#maybeAddress();
    }
  }

  /** smd looks for an address after a space only. */
  #maybeAddress(): void {
    const parser = this.#parser;
    if (parser.token === MAYBE_BR && parser.pending === "<h") parser.text += "<";
    else if (parser.pending !== "h" || !RUNNING.has(parser.token)) return;
    parser.pending = "h";
    parser.token = MAYBE_URL;
  }

  #feed(char: string): void {
    this.#char = char;
    try {
      if (!this.#plain) smd.parser_write(this.#parser as never, char);
      else this.#text += char;
    } catch {
      this.#plain = true;
      this.#text += char;
    }
    if (this.#parser.len >= DEEPEST) this.#plain = true;
  }

  /** Marks have a meaning here: no code, no address, nothing escaped. */
  #isText(): boolean {
    const { pending, tokens, len } = this.#parser;
    return !VERBATIM.has(tokens[len]!) && pending !== "\\" && !pending.includes("`") && !this.#inTarget();
  }

  #inTarget(): boolean {
    const { pending, tokens, len } = this.#parser;
    return (tokens[len] === smd.LINK || tokens[len] === smd.IMAGE) && pending.startsWith("](");
  }

  #cutTarget(): void {
    this.#cut = true;
    this.#feed(")");
    this.#cut = false;
  }

  // -- what smd found -----------------------------------------------------------------------------

  #open(token: number): void {
    this.#flush();
    const parent = this.#stack.at(-1)!.inner;
    const [tag, within] = INLINE[token] ? [INLINE[token].tag] : (BLOCKS[token] ?? ["span"]);
    const outer = this.#make.createElement(token === smd.TABLE_CELL && this.#inHead() ? "th" : tag);
    parent.appendChild(outer);
    let inner: Element = outer;
    if (within !== undefined) {
      inner = this.#make.createElement(within);
      outer.appendChild(inner);
    }
    this.#stack.push({ token, inner, outer, target: null });
    if (token === smd.TABLE) this.#scrolls(outer, this.#tableLabel);
    else if (token === smd.CHECKBOX) this.#text = "☐";
    else if (token === smd.EQUATION_BLOCK || token === smd.EQUATION_INLINE) this.#text = this.#parser.pending;
    else if (token === smd.CODE_BLOCK || token === smd.CODE_FENCE) outer.setAttribute("tabindex", "0");
  }

  /** A wide table scrolls by itself, by keyboard too. */
  #scrolls(outer: Element, label: string): void {
    outer.setAttribute("class", "table");
    outer.setAttribute("role", "region");
    outer.setAttribute("tabindex", "0");
    outer.setAttribute("aria-label", label);
  }

  /** The first row of a table names its columns. */
  #inHead(): boolean {
    const table = this.#stack.at(-2);
    return table?.token === smd.TABLE && table.inner.childNodes.length === 1;
  }

  #attribute(attribute: number, value: string): void {
    const open = this.#stack.at(-1)!;
    if (attribute === smd.HREF || attribute === smd.SRC) open.target = value;
    else if (attribute === smd.CHECKED) this.#text = "☑";
    else if (attribute === smd.START && /^\d{1,9}$/.test(value)) open.inner.setAttribute("start", value);
  }

  #close(): void {
    this.#flush();
    const open = this.#stack.pop()!;
    this.#tail = null;
    const inline = INLINE[open.token];
    if (open.token === smd.LINK) this.#closeLink(open);
    else if (open.token === smd.RAW_URL) this.#closeAddress(open);
    else if (open.token === smd.EQUATION_BLOCK || open.token === smd.EQUATION_INLINE) this.#closeEquation(open);
    else if (inline !== undefined && !this.#lenient && !this.#wasClosed(open.token, inline.mark)) {
      this.#unwrap(open, inline.mark, "");
    }
  }

  /** smd ends tokens with their block too. While it ends one by its mark, the mark is pending. */
  #wasClosed(token: number, mark: string): boolean {
    const { pending } = this.#parser;
    if (token === smd.CODE_INLINE) return this.#char === "`" && pending[0] !== "\n";
    if (token === smd.STRIKE) return pending === "~";
    return pending === mark[0] || pending === mark[0]! + mark[0]!;
  }

  #closeLink(open: Open): void {
    const { pending } = this.#parser;
    if (open.target === null) return this.#unwrap(open, "[", pending === "]" ? "]" : "");
    const target = this.#cut ? null : targetOf(open.target);
    if (target === null) return this.#unwrap(open, "[", literal(open.target) + (this.#cut ? "" : ")"));
    const href = safeHref(target);
    if (href === null) this.#unwrap(open, "", "");
    else this.#link(open.outer, href);
  }

  #closeAddress(open: Open): void {
    const written = open.target ?? "";
    const address = withoutTrailing(written);
    const href = safeHref(address);
    if (href === null) return this.#unwrap(open, "", "");
    (open.inner.firstChild as Text).data = address;
    this.#link(open.outer, href);
    this.#text = written.slice(address.length);
  }

  #closeEquation(open: Open): void {
    const { pending } = this.#parser;
    const block = open.token === smd.EQUATION_BLOCK;
    // smd swallows the parenthesis of "$x$)"
    if (pending[0] === "$") this.#text = block ? "$$" : this.#char === ")" ? "$)" : "$";
    else if (pending[0] === "\\") this.#text = block ? "\\]" : "\\)";
  }

  #link(anchor: Element, href: string): void {
    anchor.setAttribute("href", href);
    anchor.setAttribute("rel", "noopener noreferrer nofollow ugc");
    anchor.setAttribute("target", "_blank");
    // What the text says and where it leads may differ: the host, in ASCII, is there to see.
    const { host } = new URL(href);
    if (host !== "") anchor.setAttribute("title", host);
  }

  /** It was no element after all: its children stand in its place, between `before` and `after`. */
  #unwrap({ outer, inner }: Open, before: string, after: string): void {
    const parent = outer.parentNode!;
    if (before !== "") parent.insertBefore(this.#make.createTextNode(before), outer);
    while (inner.firstChild !== null) parent.insertBefore(inner.firstChild, outer);
    parent.removeChild(outer);
    this.#text = after;
  }

  #flush(): void {
    if (this.#text !== "") {
      const { inner } = this.#stack.at(-1)!;
      if (this.#tail !== null && this.#tail.parentNode === inner && inner.lastChild === this.#tail) {
        this.#tail.appendData(this.#text);
      } else {
        this.#tail = this.#make.createTextNode(this.#text);
        inner.appendChild(this.#tail);
      }
      this.#text = "";
    }
  }
}

function opened(target: string): boolean {
  return target.split("(").length > target.split("%29").length;
}

/** A target as it was written: its parentheses come back. */
function literal(target: string): string {
  return `](${target.replaceAll("%29", ")")}`;
}
