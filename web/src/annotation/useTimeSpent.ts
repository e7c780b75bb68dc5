import { useEffect, useRef } from "react";

/**
 * Seconds since `what` is shown, without those in which the window was hidden: what the work took, not the lunch
 * between.
 */
export function useTimeSpent(what: string): () => number {
  const clock = useRef({ before: 0, since: performance.now() });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another row begins anew
  useEffect(() => {
    clock.current = { before: 0, since: performance.now() };
    const changed = () => {
      const now = performance.now();
      if (document.hidden) clock.current.before += now - clock.current.since;
      clock.current.since = now;
    };
    document.addEventListener("visibilitychange", changed);
    return () => document.removeEventListener("visibilitychange", changed);
  }, [what]);
  return () => {
    const { before, since } = clock.current;
    return (before + (document.hidden ? 0 : performance.now() - since)) / 1000;
  };
}
