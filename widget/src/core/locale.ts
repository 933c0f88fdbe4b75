/** Languages: which locale fits a wish, and texts with placeholders and plurals. */

/** A text, or one for each plural category; `other` is always there. */
export type Text = string | (Readonly<Partial<Record<Intl.LDMLPluralRule, string>>> & { readonly other: string });
export type Texts = Readonly<Record<string, Text>>;

/** The wish as a well-formed BCP-47 tag in canonical form, or null. */
export function canonical(wish: string | null | undefined): string | null {
  try {
    return Intl.getCanonicalLocales((wish ?? "").replace("_", "-"))[0] ?? null;
  } catch {
    return null;
  }
}

/** The first wish that one of `available` fulfils: by its whole tag, by script, by language. */
export function match(wishes: readonly (string | null | undefined)[], available: readonly string[]): string | null {
  for (const wish of wishes) {
    const tag = canonical(wish);
    if (tag === null) continue;
    const wanted = new Intl.Locale(tag).maximize();
    const near = available.filter((name) => new Intl.Locale(name).language === alias(wanted.language));
    const best =
      near.find((name) => name.toLowerCase() === tag.toLowerCase()) ??
      near.find((name) => new Intl.Locale(name).maximize().script === wanted.script) ??
      near[0];
    if (best !== undefined) return best;
  }
  return null;
}

/** Norwegian is asked for as Bokmål or Nynorsk; Parley calls it `no`. */
function alias(language: string): string {
  return language === "nb" || language === "nn" ? "no" : language;
}

const RIGHT_TO_LEFT = new Set(["ar", "arc", "ckb", "dv", "fa", "he", "ku", "ps", "sd", "syr", "ug", "ur", "yi"]);

export function direction(locale: string): "rtl" | "ltr" {
  return RIGHT_TO_LEFT.has(new Intl.Locale(locale).language) ? "rtl" : "ltr";
}

export type Values = Readonly<Record<string, string | number>>;
/** `t("queue_place", {n: 3})`: `n` picks the plural and is written in the locale's own digits. */
export type Translate = (key: string, values?: Values) => string;

export function translator(locale: string, texts: Texts): Translate {
  const plural = new Intl.PluralRules(locale);
  const number = new Intl.NumberFormat(locale);
  return (key, values = {}) => {
    const text = texts[key];
    if (text === undefined) throw new Error(`no text ${key} in ${locale}`);
    const n = values.n;
    const form =
      typeof text === "string" ? text : ((typeof n === "number" ? text[plural.select(n)] : undefined) ?? text.other);
    return form.replace(/\{(\w+)\}/g, (_, name: string) => {
      const value = values[name];
      if (value === undefined) throw new Error(`no ${name} for ${key}`);
      return typeof value === "number" ? number.format(value) : value;
    });
  };
}
