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
 */

import * as smd from "streaming-markdown";

import { ENDS_ADDRESS } from "./links.ts";
import type { Maker } from "./nodes.ts";
import { INNER, Nodes } from "./nodes.ts";

/** What smd keeps about the text so far; pinned, and held to it by the corpus test. */
interface Parser {
  text: string;
  pending: string;
  token: number;
  readonly tokens: Uint32Array;
  readonly len: number;
}

const MAYBE_URL = 102;
const MAYBE_BR = 104;
const MAYBE_EQ_BLOCK = 105;
const DEEPEST = 20; // smd's own arrays end at 24

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
  readonly #nodes: Nodes;
  readonly #parser: Parser;
  readonly #reading: { readonly pending: string; char: string; cut: boolean; lenient: boolean };
  #held = ""; // a run of marks, or a backslash, until what follows tells what it is
  #before = "\n";
  #plain = false;

  constructor(root: Element, make: Maker, tableLabel: string) {
    this.#parser = smd.parser({
      data: null,
      add_token: (_, token: number) => this.#nodes.open(token),
      end_token: () => this.#nodes.close(),
      add_text: (_, text) => this.#nodes.write(text),
      set_attr: (_, attribute, value) => this.#nodes.attribute(attribute, value),
    }) as unknown as Parser;
    const parser = this.#parser;
    this.#reading = {
      get pending() {
        return parser.pending;
      },
      char: "",
      cut: false,
      lenient: false,
    };
    this.#nodes = new Nodes(root, make, tableLabel, this.#reading);
  }

  /** May be any part of the text, half a word included, but no half surrogate pair. */
  write(text: string): void {
    for (const char of text) if (!OVERRIDES.test(char)) this.#step(char);
    this.#nodes.flush();
  }

  /** No more will come: what is still open was not meant, unless the text was cut off before its end. */
  end(cutOff = false): void {
    this.#release("");
    if (this.#inTarget()) this.#cutTarget();
    if (!this.#plain) smd.parser_end(this.#parser as never);
    this.#reading.char = "";
    this.#reading.lenient = cutOff;
    this.#nodes.closeAll();
    this.#nodes.flush();
  }

  // -- before smd sees it -------------------------------------------------------------------------

  #step(char: string): void {
    if (this.#plain) {
      this.#nodes.write(char);
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
      else if (char === ")" && opened(parser.pending.slice(2))) return this.#feed(INNER);
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
    this.#reading.char = char;
    try {
      if (!this.#plain) smd.parser_write(this.#parser as never, char);
      else this.#nodes.write(char);
    } catch {
      this.#plain = true;
      this.#nodes.write(char);
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
    this.#reading.cut = true;
    this.#feed(")");
    this.#reading.cut = false;
  }

}

function opened(target: string): boolean {
  return target.split("(").length > target.split(INNER).length;
}
