/** A shop's colour, made readable: relative luminance and contrast as WCAG 2 defines them. */

export type Rgb = readonly [number, number, number];

/** `#rgb` or `#rrggbb`; anything else is no colour for us. */
export function parseColor(text: string | null | undefined): Rgb | null {
  const hex = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec((text ?? "").trim())?.[1];
  if (hex === undefined) return null;
  const long = hex.length === 3 ? hex.replace(/./g, "$&$&") : hex;
  return [0, 2, 4].map((at) => parseInt(long.slice(at, at + 2), 16)) as unknown as Rgb;
}

function luminance(color: Rgb): number {
  const [r, g, b] = color.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

export function contrast(one: Rgb, other: Rgb): number {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

const WHITE: Rgb = [255, 255, 255];
const BLACK: Rgb = [0, 0, 0];

/** The better of white and black for text on `color`: one of them always reaches 4.5. */
export function textOn(color: Rgb): Rgb {
  return contrast(color, WHITE) >= 4.5 || contrast(color, WHITE) >= contrast(color, BLACK) ? WHITE : BLACK;
}

/** `color`, moved towards black or white until text in it can be read on `background`. */
export function readableOn(color: Rgb, background: Rgb): Rgb {
  const goal = contrast(background, BLACK) > contrast(background, WHITE) ? BLACK : WHITE;
  for (let step = 0; step <= 10; step += 1) {
    const mixed = color.map((part, index) => Math.round(part + ((goal[index]! - part) * step) / 10)) as unknown as Rgb;
    if (contrast(mixed, background) >= 4.5) return mixed;
  }
  return goal;
}

export function css([r, g, b]: Rgb): string {
  return `rgb(${r} ${g} ${b})`;
}
