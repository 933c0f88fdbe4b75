/** Theme and colour: from the shop, made readable on this panel's background. */

import { css, parseColor, readableOn, textOn } from "../ui/color.ts";

const THEMES = ["light", "dark"];
const BACKGROUND = { light: [255, 255, 255], dark: [23, 25, 31] } as const;

export class Look {
  readonly #root = document.documentElement;
  readonly #dark = matchMedia("(prefers-color-scheme: dark)");
  #theme = "auto";
  #color = "";

  constructor() {
    this.#dark.addEventListener("change", () => this.#apply());
  }

  /** `theme`: light, dark, anything else is the system's choice; `color`: #rgb or #rrggbb, or none. */
  set(theme: string, color: string): void {
    this.#theme = THEMES.includes(theme) ? theme : "auto";
    this.#color = color;
    this.#apply();
  }

  #apply(): void {
    const theme = this.#theme === "auto" ? (this.#dark.matches ? "dark" : "light") : this.#theme;
    this.#root.dataset.theme = theme;
    const color = parseColor(this.#color);
    if (color === null) {
      for (const name of ["--accent", "--on-accent", "--link"]) this.#root.style.removeProperty(name);
      return;
    }
    this.#root.style.setProperty("--accent", css(color));
    this.#root.style.setProperty("--on-accent", css(textOn(color)));
    this.#root.style.setProperty("--link", css(readableOn(color, BACKGROUND[theme as "light" | "dark"])));
  }
}
