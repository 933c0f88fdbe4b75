/**
 * What a screen reader hears. The visible transcript is no live region: it grows by pieces of words.
 * Whole sentences go into a hidden log, and beginnings and ends into a hidden status.
 */

import { direction } from "../core/locale.ts";
import { Sentences } from "./sentences.ts";

const KEPT = 20; // lines; a reader goes back a few sentences, not through the day
const QUIET_MS = 4_000; // without a new word this long, the half sentence is told

export class Announcer {
  readonly log: HTMLElement;
  readonly status: HTMLElement;
  #locale: string;
  #sentences: Sentences;
  #timer = 0;

  constructor(locale: string) {
    this.#locale = locale;
    this.#sentences = new Sentences(locale);
    this.log = region("log");
    this.status = region("status");
  }

  set locale(locale: string) {
    this.#locale = locale;
    this.#sentences = new Sentences(locale);
  }

  /** A piece of an answer that is being written. */
  write(text: string): void {
    this.#tell(this.#sentences.push(text));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tell(this.#sentences.flush()), QUIET_MS);
  }

  /** The answer ended, or was cut: what is left of it is told now. */
  end(): void {
    clearTimeout(this.#timer);
    this.#tell(this.#sentences.flush());
  }

  /** A finished message of somebody else. */
  say(text: string, language: string = this.#locale): void {
    const sentences = new Sentences(language);
    this.#tell([...sentences.push(text), ...sentences.flush()], language);
  }

  /** Said twice, it is heard twice. */
  note(text: string): void {
    this.status.textContent = this.status.textContent === text ? `${text}\u00a0` : text;
  }

  #tell(sentences: readonly string[], language: string = this.#locale): void {
    for (const sentence of sentences) {
      const line = document.createElement("p");
      line.lang = language;
      line.dir = direction(language);
      line.textContent = sentence;
      this.log.append(line);
    }
    while (this.log.childElementCount > KEPT) this.log.firstElementChild!.remove();
  }
}

function region(role: "log" | "status"): HTMLElement {
  const element = document.createElement("div");
  element.className = "unseen";
  element.setAttribute("role", role);
  element.setAttribute("aria-live", "polite");
  document.body.append(element);
  return element;
}
