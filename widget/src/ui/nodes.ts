/**
 * The nodes of a text: what smd finds in it, as elements out of a closed map.
 *
 * smd says "a token begins", "text", "a token ends". It does not say whether a token ended by its
 * mark or because its block did; what is pending in the parser at that moment tells. An emphasis,
 * code or link that its block does not close was none: it is turned back into text.
 */

import * as smd from "streaming-markdown";

import { safeHref, targetOf, withoutTrailing } from "./links.ts";

/** The part of a document that is used, so that tests can bring a small one. */
export type Maker = Pick<Document, "createElement" | "createTextNode">;

/** Where the reading is, while smd calls. */
export interface Reading {
  /** What smd holds back to tell a mark from a letter. */
  readonly pending: string;
  /** The character that is being fed. */
  readonly char: string;
  /** The link target that ends now was cut off: no link. */
  readonly cut: boolean;
  /** The text itself was cut off: what is open may have been meant. */
  readonly lenient: boolean;
}

interface Open {
  readonly token: number;
  /** Where text and children go. */
  readonly inner: Element;
  /** What was added to the parent, to be taken out again if it turns out to be none. */
  readonly outer: Element;
  target: string | null;
}

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

/** Stands for a closing parenthesis inside a link's target, where smd would end the link: no character. */
export const INNER = "\uffff";

export class Nodes {
  readonly #make: Maker;
  readonly #tableLabel: string;
  readonly #reading: Reading;
  readonly #stack: Open[];
  #text = "";
  #tail: Text | null = null;

  constructor(root: Element, make: Maker, tableLabel: string, reading: Reading) {
    this.#make = make;
    this.#tableLabel = tableLabel;
    this.#reading = reading;
    this.#stack = [{ token: smd.DOCUMENT, inner: root, outer: root, target: null }];
  }

  /** More of the text that stands where the reading is. */
  write(text: string): void {
    this.#text += text;
  }

  /** Ends what is still open. */
  closeAll(): void {
    while (this.#stack.length > 1) this.close();
  }

  open(token: number): void {
    this.flush();
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
    else if (token === smd.EQUATION_BLOCK || token === smd.EQUATION_INLINE) this.#text = this.#reading.pending;
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

  attribute(attribute: number, value: string): void {
    const open = this.#stack.at(-1)!;
    if (attribute === smd.HREF || attribute === smd.SRC) open.target = value;
    else if (attribute === smd.CHECKED) this.#text = "☑";
    else if (attribute === smd.START && /^\d{1,9}$/.test(value)) open.inner.setAttribute("start", value);
  }

  close(): void {
    this.flush();
    const open = this.#stack.pop()!;
    this.#tail = null;
    const inline = INLINE[open.token];
    if (open.token === smd.LINK) this.#closeLink(open);
    else if (open.token === smd.RAW_URL) this.#closeAddress(open);
    else if (open.token === smd.EQUATION_BLOCK || open.token === smd.EQUATION_INLINE) this.#closeEquation(open);
    else if (inline !== undefined && !this.#reading.lenient && !this.#wasClosed(open.token, inline.mark)) {
      this.#unwrap(open, inline.mark, "");
    }
  }

  /** smd ends tokens with their block too. While it ends one by its mark, the mark is pending. */
  #wasClosed(token: number, mark: string): boolean {
    const { pending } = this.#reading;
    if (token === smd.CODE_INLINE) return this.#reading.char === "`" && pending[0] !== "\n";
    if (token === smd.STRIKE) return pending === "~";
    return pending === mark[0] || pending === mark[0]! + mark[0]!;
  }

  #closeLink(open: Open): void {
    const { pending } = this.#reading;
    if (open.target === null) return this.#unwrap(open, "[", pending === "]" ? "]" : "");
    const target = this.#reading.cut ? null : targetOf(open.target.replaceAll(INNER, ")"));
    if (target === null) return this.#unwrap(open, "[", literal(open.target) + (this.#reading.cut ? "" : ")"));
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
    const { pending } = this.#reading;
    const block = open.token === smd.EQUATION_BLOCK;
    // smd swallows the parenthesis of "$x$)"
    if (pending[0] === "$") this.#text = block ? "$$" : this.#reading.char === ")" ? "$)" : "$";
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

  /** Puts what was written into the tree. */
  flush(): void {
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

/** A target as it was written: its parentheses come back. */
function literal(target: string): string {
  return `](${target.replaceAll(INNER, ")")}`;
}
