import type { Reason, Story } from "../api/types";
import { useFormats, useTexts } from "../i18n";
import styles from "./Cycle.module.css";
import { Bars, Facts } from "./parts";

/** What people said of the answers that the Cycle looked at. */
export function Complaints({ complaints }: { complaints: NonNullable<Story["complaints"]> }) {
  const texts = useTexts();
  const { number } = useFormats();
  const { items, people, liked, disliked, corrections, preferences, reasons, examples } = complaints;
  const reasonName = (reason: string) => texts.feedback.reasons[reason as Reason] ?? reason;
  return (
    <>
      <Facts
        facts={[
          [texts.cycles.items, `${number(items)} · ${texts.cycles.people(people)}`],
          [texts.cycles.disliked, number(disliked)],
          [texts.cycles.corrections, number(corrections)],
          [texts.cycles.liked, number(liked)],
          [texts.cycles.preferences, preferences === 0 ? null : number(preferences)],
        ]}
      />
      {reasons.length > 0 && (
        <>
          <h3 className={styles.subheading}>{texts.cycles.reasons}</h3>
          <Bars
            label={texts.cycles.reasons}
            bars={reasons.map(({ reason, count }) => ({ name: reasonName(reason), count }))}
          />
        </>
      )}
      {examples.length > 0 && (
        <>
          <h3 className={styles.subheading}>{texts.cycles.examples}</h3>
          <ul className={styles.examples}>
            {examples.map(({ question, answer, correction, reasons: why }, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: examples have nothing but their place
              <li key={index} className={styles.example}>
                <dl>
                  <dt>{texts.cycles.question}</dt>
                  <dd>{question}</dd>
                  <dt>{texts.cycles.answer}</dt>
                  <dd>
                    {answer}
                    {why.length > 0 && (
                      <span className={styles.quiet}>{` (${why.map(reasonName).join(" · ")})`}</span>
                    )}
                  </dd>
                  {correction !== null && (
                    <>
                      <dt>{texts.cycles.correction}</dt>
                      <dd>{correction}</dd>
                    </>
                  )}
                </dl>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}
