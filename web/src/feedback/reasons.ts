import type { Rating, Reason } from "../api/types";

const PRAISE: readonly Reason[] = ["correct", "clear", "well_sourced", "helpful"];
const BLAME: readonly Reason[] = [
  "wrong",
  "incomplete",
  "not_followed",
  "wrong_source",
  "outdated",
  "too_long",
  "style",
  "refused",
  "unsafe",
];

/** Why an answer is good or bad, that which is meant most often first. */
export const reasonsFor = (rating: Rating): readonly Reason[] => (rating === 1 ? PRAISE : BLAME);
