import type { Texts } from "../i18n";

/** A duration as people say it: `42 s`, `8 min`, `1 h 5 min`. */
export function durationText(
  seconds: number,
  texts: Texts,
  number: (value: number, digits?: number) => string,
): string {
  if (seconds < 90) return texts.cycles.seconds(number(seconds, seconds < 10 ? 1 : 0));
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return texts.cycles.minutes(number(minutes));
  return texts.cycles.hours(number(Math.floor(minutes / 60)), number(minutes % 60));
}
