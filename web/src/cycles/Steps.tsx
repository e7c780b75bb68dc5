import type { StoryStep } from "../api/types";
import { useFormats, useTexts } from "../i18n";
import styles from "./Cycle.module.css";
import { durationText } from "./duration";
import { useSentence } from "./sentence";

/** The ten steps in words: what each found, and how long it took. */
export function Steps({ steps }: { steps: readonly StoryStep[] }) {
  const texts = useTexts();
  const { number } = useFormats();
  const say = useSentence();
  return (
    <ol className={styles.steps} aria-label={texts.cycles.stepList}>
      {steps.map((step) => {
        const about = [
          texts.cycles.stepState[step.state],
          ...(step.seconds > 0 ? [durationText(step.seconds, texts, number)] : []),
          ...(step.attempts > 1 ? [texts.cycles.attempts(step.attempts)] : []),
        ];
        return (
          <li key={step.name} className={step.state === "waiting" ? styles.toCome : undefined}>
            <span className={styles.stepName}>{texts.cycles.steps[step.name]}</span>
            <span className={styles.quiet}> · {about.join(" · ")}</span>
            {step.said !== "" && <div className={styles.stepSaid}>{say(step)}</div>}
          </li>
        );
      })}
    </ol>
  );
}
