import type { AnnotationTask } from "../api/types";

type Counts = AnnotationTask["counts"];

/** Rows whose value is known, from models or people. */
export const settledOf = (counts: Counts): number => counts.passed + counts.done;

export const totalOf = (counts: Counts): number =>
  counts.waiting + counts.passed + counts.queued + counts.done + counts.disputed;

/** Whole percent, and never 100 before all is settled. */
export const percentOf = (counts: Counts): number => {
  const total = totalOf(counts);
  return total === 0 ? 0 : Math.floor((100 * settledOf(counts)) / total);
};
