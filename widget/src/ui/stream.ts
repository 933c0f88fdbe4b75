/** The node that shows one message's text. It belongs to nobody else: Preact never looks inside. */

import type { Message } from "../core/message.ts";
import { directionOf } from "./direction.ts";
import { MarkdownStream } from "./markdown.ts";

export class StreamBody {
  readonly #node: HTMLElement;
  readonly #tableLabel: string;
  #stream: MarkdownStream | null = null;
  #written = "";
  #ended = false;

  constructor(node: HTMLElement, tableLabel: string) {
    this.#node = node;
    this.#tableLabel = tableLabel;
  }

  /** Writes what is new. Where what stands here is no beginning of the text, all is written again. */
  show(text: string, { done, language, reason }: Pick<Message, "done" | "language" | "reason">): void {
    if (this.#stream === null || !text.startsWith(this.#written) || (this.#ended && text !== this.#written)) {
      this.#node.replaceChildren();
      this.#node.removeAttribute("dir");
      this.#stream = new MarkdownStream(this.#node, document, this.#tableLabel);
      this.#written = "";
      this.#ended = false;
    }
    if (text.length > this.#written.length) this.#stream.write(text.slice(this.#written.length));
    this.#written = text;
    if (!this.#node.hasAttribute("dir")) {
      const dir = directionOf(text, language);
      if (dir !== null) this.#node.dir = dir;
    }
    if (done && !this.#ended) this.#stream.end(reason !== undefined && reason !== "stop");
    this.#ended = done;
  }
}
