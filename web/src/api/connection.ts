import { useSyncExternalStore } from "react";

/** Whether the server answers. While it does not, it is asked again and again, slower and slower. */
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15_000;

type Listener = (reachable: boolean) => void;
const listeners = new Set<Listener>();
let reachable = true;
let wait = FIRST_WAIT_MS;
let timer: ReturnType<typeof setTimeout> | undefined;

export function reportReachable(): void {
  clearTimeout(timer);
  wait = FIRST_WAIT_MS;
  if (reachable) return;
  reachable = true;
  for (const listener of listeners) listener(true);
}

export function reportUnreachable(): void {
  clearTimeout(timer);
  timer = setTimeout(ask, wait);
  wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  if (!reachable) return;
  reachable = false;
  for (const listener of listeners) listener(false);
}

/** Ask now, without waiting for the next turn. */
export async function ask(): Promise<void> {
  clearTimeout(timer);
  try {
    const response = await fetch("/healthz", { cache: "no-store" });
    if (response.ok) reportReachable();
    else reportUnreachable();
  } catch {
    reportUnreachable();
  }
}

export function onConnectionChange(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useReachable(): boolean {
  return useSyncExternalStore(onConnectionChange, () => reachable);
}

if (typeof window !== "undefined") {
  window.addEventListener("online", () => void (reachable || ask()));
  window.addEventListener("offline", () => reportUnreachable());
}
