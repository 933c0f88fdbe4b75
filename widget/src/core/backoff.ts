/** When to try again, and whether: the close codes' meaning and the waiting time, as two functions. */

export type Verdict =
  /** Lost without a reason of its own: again, at once if it was up and somebody looks. */
  | "retry"
  /** The server is busy or goes away: again, but spread out. */
  | "later"
  /** A newer socket of this customer took over: when the tab is shown again. */
  | "park"
  /** The token is not good any more: one new session, then no more. */
  | "renew"
  /** What was sent is too large for any server: again, but without it. */
  | "oversize"
  /** No use to come back. */
  | "refuse";

export const CLOSE = {
  GONE: 1001,
  OVERSIZE: 1009,
  RESTART: 1012,
  TRY_LATER: 1013,
  REPLACED: 4409,
  TOO_SLOW: 4410,
  TOO_MANY: 4429,
  SHED: 4430,
  BAD_TOKEN: 4501,
  VERSION: 4505,
  MALFORMED: 4508,
} as const;

export function verdictOf(code: number): Verdict {
  switch (code) {
    case CLOSE.REPLACED:
      return "park";
    case CLOSE.BAD_TOKEN:
      return "renew";
    case CLOSE.OVERSIZE:
      return "oversize";
    case CLOSE.RESTART:
    case CLOSE.TRY_LATER:
    case CLOSE.TOO_MANY:
    case CLOSE.SHED:
      return "later";
    default:
      return code >= 4500 && code <= 4999 ? "refuse" : "retry";
  }
}

const BASE_MS = 500;
const CAP_MS = 20_000;
/** Where everybody is sent away at the same moment, the first wait is already 4 s wide. */
export const SPREAD_FROM = 3;

/** Full jitter: anything up to min(20 s, 0.5 s × 2^n), so that a thousand clients do not march in step. */
export function backoff(failures: number, random: () => number): number {
  return random() * Math.min(CAP_MS, BASE_MS * 2 ** failures);
}
