import type { Story } from "../api/types";
import { useFormats, useTexts } from "../i18n";
import styles from "./Cycle.module.css";
import { useSentence } from "./sentence";

/** How the new Version does beside the old one, in the conversations that it has. */
export function Canary({ canary }: { canary: NonNullable<Story["canary"]> }) {
  const texts = useTexts();
  const { number } = useFormats();
  const say = useSentence();
  const { standing } = canary;
  const percent = (share: number) => `${number(100 * share, share < 0.1 ? 1 : 0)}%`;
  const rows = standing && [
    [texts.cycles.answersGiven, number(standing.a.answers), number(standing.b.answers)],
    [texts.cycles.judged, number(standing.a.judged), number(standing.b.judged)],
    [texts.cycles.score, ...both(standing.a.score, standing.b.score, percent)],
    [texts.cycles.failedAnswers, number(standing.a.failed), number(standing.b.failed)],
    [
      texts.cycles.firstToken,
      ...both(standing.a.first_token_ms, standing.b.first_token_ms, (ms) =>
        texts.cycles.seconds(number(ms / 1000, 2)),
      ),
    ],
    [
      texts.cycles.speed,
      ...both(standing.a.tokens_per_second, standing.b.tokens_per_second, (rate) =>
        texts.chat.speed(number(rate, rate < 10 ? 1 : 0)),
      ),
    ],
  ];
  return (
    <>
      <p className={styles.sentence}>{say(canary)}</p>
      {rows && (
        <table className={styles.table}>
          <thead>
            <tr>
              <td />
              <th scope="col">{texts.cycles.oldOne}</th>
              <th scope="col">
                {texts.cycles.newOne}
                <span className={styles.quiet}> · {texts.cycles.canaryShare(percent(canary.share))}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(([name, before, after]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{before}</td>
                <td>{after}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

const both = (before: number | null, after: number | null, text: (value: number) => string) =>
  [before, after].map((value) => (value === null ? "–" : text(value)));
