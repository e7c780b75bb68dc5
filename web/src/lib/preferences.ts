import { useSyncExternalStore } from "react";

/** What this browser remembers about how the page should look. `null` follows the browser or the system. */
export interface Preferences {
  readonly language: "zh" | "en" | null;
  readonly look: "light" | "dark" | null;
  readonly sidebar: "open" | "closed" | null;
  readonly model: string | null;
}

const NOTHING: Preferences = { language: null, look: null, sidebar: null, model: null };
const listeners = new Set<() => void>();
let current = load();

function load(): Preferences {
  try {
    const read = (name: keyof Preferences) => localStorage.getItem(`rixin.${name}`);
    const language = read("language");
    const look = read("look");
    const sidebar = read("sidebar");
    return {
      language: language === "zh" || language === "en" ? language : null,
      look: look === "light" || look === "dark" ? look : null,
      sidebar: sidebar === "open" || sidebar === "closed" ? sidebar : null,
      model: read("model"),
    };
  } catch {
    return NOTHING; // storage is off in this browser; the choice then lasts as long as the page
  }
}

export function setPreference<Name extends keyof Preferences>(name: Name, value: Preferences[Name]): void {
  current = { ...current, [name]: value };
  try {
    if (value === null) localStorage.removeItem(`rixin.${name}`);
    else localStorage.setItem(`rixin.${name}`, value);
  } catch {
    // as in load()
  }
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Another window of this browser changed a preference: follow it. */
if (typeof window !== "undefined") {
  window.addEventListener("storage", (event) => {
    if (event.key !== null && !event.key.startsWith("rixin.")) return;
    current = load();
    for (const listener of listeners) listener();
  });
}

export function usePreferences(): Preferences {
  const read = () => current;
  return useSyncExternalStore(subscribe, read, read);
}
