/** A growing text as whole sentences, without its marks: what a screen reader should be told. */

const LONGEST = 200; // a script without sentence marks, or a list, is told in parts of this length

export class Sentences {
  readonly #segmenter: Intl.Segmenter;
  #text = "";

  constructor(locale: string) {
    this.#segmenter = new Intl.Segmenter(locale, { granularity: "sentence" });
  }

  /** The sentences that are finished now; the last one only is once another begins. */
  push(text: string): string[] {
    this.#text += text;
    const parts = Array.from(this.#segmenter.segment(this.#text), ({ segment }) => segment);
    this.#text = parts.pop() ?? "";
    if (this.#text.length > LONGEST) {
      const space = this.#text.lastIndexOf(" ", LONGEST);
      const cut = space > 0 ? space + 1 : LONGEST;
      parts.push(this.#text.slice(0, cut));
      this.#text = this.#text.slice(cut);
    }
    return parts.map(spoken).filter((sentence) => sentence !== "");
  }

  /** The rest: the text has ended, or nothing has come for a while. */
  flush(): string[] {
    const rest = spoken(this.#text);
    this.#text = "";
    return rest === "" ? [] : [rest];
  }
}

/** Markdown's marks are for the eye. */
export function spoken(text: string): string {
  return text
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/^\s*(?:#{1,6}|[-*+>]|\d+\.|\|[-:| ]*\|?$)\s/gm, "")
    .replace(/```\w*|[*`~|]|(?<![\p{L}\p{N}])_+|_+(?![\p{L}\p{N}])/gu, "")
    .replace(/\s+/g, " ")
    .trim();
}
