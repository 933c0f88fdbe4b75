/**
 * The direction of a message: of its language where that is known, else of its first letter. As long
 * as there is no letter ("#10482 …") nothing is decided; `dir=auto` would say left, and flip later.
 */

import { canonical, direction } from "../core/locale.ts";

const LETTER = /\p{L}/u;
const RIGHT_TO_LEFT = /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;

export type Direction = "rtl" | "ltr";

export function directionOf(text: string, language?: string): Direction | null {
  const tag = canonical(language);
  if (tag !== null) return direction(tag);
  const letter = LETTER.exec(text)?.[0];
  if (letter === undefined) return null;
  return RIGHT_TO_LEFT.test(letter) ? "rtl" : "ltr";
}
