/** Which link targets of a text from outside may become a link, and where a bare address ends. */

const SCHEMES = new Set(["https:", "mailto:", "tel:"]);

/** `<target>` or `target`, then perhaps a title in quotes or parentheses. */
const TARGET = /^<?([^\s<>]+)>?(?:\s+(?:"[^]*"|'[^]*'|\([^]*\)?))?$/;

/** The target without its title, or null where this cannot be a link target at all. */
export function targetOf(written: string): string | null {
  return TARGET.exec(written.trim())?.[1] ?? null;
}

/** The address in the form the browser will follow, or null where it may not be followed. */
export function safeHref(target: string): string | null {
  let url: URL;
  try {
    url = new URL(target);
  } catch {
    return null; // relative ones too: they would lead into Parley's origin, not into the shop's
  }
  if (!SCHEMES.has(url.protocol)) return null;
  if (url.username !== "" || url.password !== "") return null; // https://shop.example@evil.example
  return url.href;
}

/** What a sentence puts behind an address. */
const TRAILING = /[.,;:!?'"…)\]}_~]/;

/** `https://a.example/b.` is an address and a full stop; a parenthesis that was opened inside stays. */
export function withoutTrailing(address: string): string {
  let end = address.length;
  while (end > 0 && TRAILING.test(address[end - 1]!)) {
    if (address[end - 1] === ")" && balanced(address.slice(0, end))) break;
    end -= 1;
  }
  return address.slice(0, end);
}

function balanced(text: string): boolean {
  return text.split("(").length >= text.split(")").length;
}

/** Characters that end a bare address: marks, and scripts that are written without spaces. */
export const ENDS_ADDRESS = /[\s\\<>"`|*“”‘’«»\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef]/;
