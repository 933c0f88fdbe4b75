/** What a customer sees before there is a word of the answer: never a blank. */

import type { Translate } from "../core/locale.ts";
import type { QueueUpdated } from "../core/wire.ts";
import type { Store } from "./store.ts";

const ROUND_S = 5; // a promise to the second would be wrong every time
const MINUTES_FROM_S = 90;

export function queueText(t: Translate, { position, eta_ms }: QueueUpdated): string {
  const place = t("queue_place", { n: Math.max(1, Math.round(position)) });
  const seconds = Math.max(1, Math.ceil(eta_ms / 1000 / ROUND_S)) * ROUND_S;
  const eta =
    seconds < MINUTES_FROM_S ? t("eta_seconds", { n: seconds }) : t("eta_minutes", { n: Math.ceil(seconds / 60) });
  return t("queue_eta", { place, eta });
}

export function Waiting({ store, m }: { store: Store; m: number }) {
  const t = store.t.value;
  const { queue, activity } = store.view.value;
  const state = activity?.m === m ? activity.state : "thinking";
  const text = queue === null ? t(state) : queueText(t, queue);
  return (
    <div class={queue === null ? "bubble waiting" : "bubble waiting queue"}>
      <span class="dots" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      <span>{text}</span>
    </div>
  );
}
