import type { ScoreChange } from "../api/types";

/** From where to where an axis of changes reaches; nothing changed is always on it. */
export interface Axis {
  readonly least: number;
  readonly most: number;
}

/** One axis for all that have the same unit, so that their lengths can be compared. */
export function axisOf(scores: readonly Pick<ScoreChange, "low" | "high" | "difference">[]): Axis {
  const ends = scores.flatMap(({ low, high, difference }) => [low ?? difference, high ?? difference]);
  const least = Math.min(0, ...ends);
  const most = Math.max(0, ...ends);
  return least === most ? { least: -1, most: 1 } : { least, most };
}

/** Where on the axis a value is: 0 at its beginning, 1 at its end. */
export const placeOn = ({ least, most }: Axis, value: number): number => (value - least) / (most - least);
