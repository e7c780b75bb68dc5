import type { Library } from "../api/types";
import { useFormats, useTexts } from "../i18n";
import cards from "../look/Cards.module.css";

/** What tuning did for questions that it did not learn from; nothing where a Library was not tuned. */
export function LibraryTuned({ library }: { library: Library }) {
  const texts = useTexts();
  const { number } = useFormats();
  const { tuning } = library;
  if (tuning === null) return null;
  const percent = (share: number) => `${number(100 * share)}%`;
  return (
    <p className={cards.quiet}>
      {texts.library.tuning(number(tuning.held_out), percent(tuning.hit5_before), percent(tuning.hit5_after))}
    </p>
  );
}
