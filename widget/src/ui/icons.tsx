/** The few drawings of the panel, on a 24 × 24 field; they say nothing to a screen reader. */

const PATHS = {
  close: "M6 6l12 12M18 6L6 18",
  down: "M6 9.5l6 6 6-6",
  send: "M12 19V5.5M5.5 12L12 5.5l6.5 6.5",
  retry: "M4.5 12a7.5 7.5 0 1 0 2.4-5.5M4.5 4.5v4h4",
  up: "M7 10.5v9H4.5v-9zM7 11l3.6-7c1.6 0 2.4 1 2.1 2.5l-.7 3h5.4c1.3 0 2.2 1.1 1.9 2.4l-1.3 5.7c-.2 1-1 1.7-2 1.7H7",
  person: "M12 11.5a3.75 3.75 0 1 0 0-7.5 3.75 3.75 0 0 0 0 7.5zM4.5 20c.6-3.6 3.6-5.5 7.5-5.5s6.9 1.9 7.5 5.5",
  arrow: "M12 5.5v13M5.5 12l6.5 6.5 6.5-6.5",
  warning: "M12 4l9 15.5H3zM12 10v4.5M12 17.2v.1",
  spark: "M12 3.5l1.9 5.6 5.6 1.9-5.6 1.9L12 18.5l-1.9-5.6L4.5 11l5.6-1.9zM18.5 16.5l.8 2.2 2.2.8-2.2.8-.8 2.2-.8-2.2-2.2-.8 2.2-.8z",
} as const;

export function Icon({ name, turned = false }: { readonly name: keyof typeof PATHS; readonly turned?: boolean }) {
  return (
    <svg class={turned ? "icon turned" : "icon"} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

export function StopIcon() {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <rect x="7" y="7" width="10" height="10" rx="2" class="filled" />
    </svg>
  );
}
