/** The panel as a whole: who is there, whether we are connected, the conversation, and a place to write. */

import { useEffect, useState } from "preact/hooks";

import { Composer, focusComposer } from "./composer.tsx";
import { Icon } from "./icons.tsx";
import { AiBadge } from "./messages.tsx";
import type { Store } from "./store.ts";
import { Transcript } from "./transcript.tsx";

export interface Shop {
  readonly name: string;
  /** What is offered where nobody can answer: an address, a telephone number; may be empty. */
  readonly contact: string;
  /** The panel stands in a shop's page and can be closed. */
  readonly framed: boolean;
}

const PATIENCE_MS = 1_000; // a shorter interruption is not worth a word

export function App({ store, shop }: { store: Store; shop: Shop }) {
  useEffect(() => {
    const escape = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !event.isComposing && shop.framed) store.close();
    };
    addEventListener("keydown", escape);
    return () => removeEventListener("keydown", escape);
  }, []);
  return (
    <main id="panel" tabIndex={-1}>
      <Header store={store} shop={shop} />
      <Banner store={store} shop={shop} />
      <Transcript store={store} />
      <Failure store={store} />
      <Composer store={store} />
    </main>
  );
}

function Header({ store, shop }: { store: Store; shop: Shop }) {
  const t = store.t.value;
  const { agent, status } = store.view.value;
  const person = status === "assigned" ? (agent ?? t("agent")) : null;
  return (
    <header>
      <span class="avatar" aria-hidden="true">
        {[...shop.name.trim()][0]?.toLocaleUpperCase() ?? "?"}
      </span>
      <div class="who">
        <h1>{shop.name}</h1>
        <p>
          {person === null && <AiBadge store={store} />}
          <span>{person === null ? t("subtitle") : t("with_agent", { name: person })}</span>
        </p>
      </div>
      {status === "assisted" && (
        <button type="button" class="tool" aria-label={t("person")} title={t("person")} onClick={() => store.client.askForPerson()}>
          <Icon name="person" />
        </button>
      )}
      {shop.framed && (
        <button type="button" class="tool" aria-label={t("close")} title={t("close")} onClick={() => store.close()}>
          <Icon name="down" />
        </button>
      )}
    </header>
  );
}

/** Says what is wrong with the connection, and what the customer can do about it. */
function Banner({ store, shop }: { store: Store; shop: Shop }) {
  const t = store.t.value;
  const { state, code } = store.connection.value;
  const patient = usePatience(state === "live" || state === "idle" || state === "closed" || state === "offline");
  const again = (label: string) => (
    <button type="button" class="quiet" onClick={() => store.client.connection.start()}>
      {t(label)}
    </button>
  );
  if (state === "closed") {
    return (
      <div class="banner bad" role="alert">
        <p>
          {t("unavailable")} {shop.contact !== "" && t("contact", { contact: shop.contact })}
        </p>
        {again("reconnect")}
      </div>
    );
  }
  if (state === "idle" && code !== null) {
    return (
      <div class="banner" role="status">
        <p>{t("parked")}</p>
        {again("continue_here")}
      </div>
    );
  }
  if (state === "offline") {
    return (
      <div class="banner" role="status">
        <p>{t("offline")}</p>
      </div>
    );
  }
  if (state === "live" || state === "idle" || patient) return null;
  return (
    <div class="banner" role="status">
      <p class="busy">{t("reconnecting")}</p>
    </div>
  );
}

/** True for a moment after things went wrong: they may right themselves unseen. */
function usePatience(fine: boolean): boolean {
  const [patient, setPatient] = useState(true);
  useEffect(() => {
    setPatient(true);
    if (fine) return;
    const timer = setTimeout(() => setPatient(false), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [fine]);
  return patient;
}

/** What the server refused, in its own words, which are in the customer's language. */
function Failure({ store }: { store: Store }) {
  const error = store.error.value;
  if (error === null) return null;
  return (
    <div class="failure" role="alert">
      <Icon name="warning" />
      <p dir="auto">{error.message}</p>
      <button
        type="button"
        class="tool"
        aria-label={store.t.value("dismiss")}
        onClick={() => {
          store.error.value = null;
          focusComposer();
        }}
      >
        <Icon name="close" />
      </button>
    </div>
  );
}
