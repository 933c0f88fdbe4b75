/**
 * `POST /v1/sessions`: a site key and perhaps a resume handle for a token. The only request that is
 * not a frame, and the only way to learn why a handshake was refused: browsers do not tell a 403
 * from a dead network, so the problem document of this request decides.
 */

export interface Session {
  readonly token: string;
  readonly conversation: string;
  /** The handle's successor: store it, the old one will stop to be good. */
  readonly resume: string;
  readonly resumed: boolean;
}

export type SessionOutcome =
  | { readonly kind: "granted"; readonly session: Session }
  /** Asking again would give the same answer: an unknown site, a foreign origin. */
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
  /** Nobody answered, or the server asks for patience. */
  | { readonly kind: "unreachable"; readonly retryMs: number };

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

const TIMEOUT_MS = 10_000; // a captive portal may never answer

/** 408 and 429 pass with time, and so does every failure of the server's own. */
function passes(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

export async function redeem(
  fetch: Fetch,
  url: string,
  site: string,
  resume: string | null,
): Promise<SessionOutcome> {
  let response: Response;
  let body: unknown;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(resume === null ? { site } : { site, resume }),
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    body = await response.json();
  } catch {
    return { kind: "unreachable", retryMs: 0 };
  }
  if (response.ok && isSession(body)) return { kind: "granted", session: body };
  if (response.ok || passes(response.status)) {
    return { kind: "unreachable", retryMs: patience(response, body) };
  }
  const problem = body as { code?: unknown; title?: unknown; detail?: unknown } | null;
  const code = typeof problem?.code === "string" ? problem.code : `http_${response.status}`;
  const message = [problem?.detail, problem?.title].find((text) => typeof text === "string");
  return { kind: "refused", code, message: (message as string | undefined) ?? "" };
}

function isSession(body: unknown): body is Session {
  const session = body as Session | null;
  return (
    typeof session === "object" &&
    session !== null &&
    [session.token, session.conversation, session.resume].every((text) => typeof text === "string")
  );
}

function patience(response: Response, body: unknown): number {
  const asked = (body as { retry_ms?: unknown } | null)?.retry_ms;
  if (typeof asked === "number" && asked > 0) return asked;
  const seconds = Number(response.headers.get("retry-after"));
  return seconds > 0 ? seconds * 1000 : 0;
}
