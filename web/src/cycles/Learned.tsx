import { Alert } from "antd";
import type { Story } from "../api/types";
import { useFormats, useTexts } from "../i18n";
import styles from "./Cycle.module.css";
import { Bars, Facts } from "./parts";

/** What the new Version was taught, what was left out, and who was not believed. */
export function Learned({ learned }: { learned: NonNullable<Story["learned"]> }) {
  const texts = useTexts();
  const { number } = useFormats();
  const some = (count: number) => (count === 0 ? null : number(count));
  const { dropped, doubted, datasets } = learned;
  return (
    <>
      <Facts
        facts={[
          [texts.cycles.learnedCorrections, number(learned.corrections)],
          [texts.cycles.learnedLiked, some(learned.liked)],
          [texts.cycles.learnedPreferences, some(learned.preferences)],
          [texts.cycles.earlier, some(learned.earlier)],
          [texts.cycles.replay, learned.replay_share === 0 ? null : `${number(100 * learned.replay_share)}%`],
          [texts.cycles.heldOut, some(learned.held_out)],
          [texts.cycles.queued, some(learned.queued)],
        ]}
      />
      {datasets.length > 0 && (
        <p className={styles.quiet}>
          {datasets
            .map(({ role, name, rows }) =>
              texts.cycles.dataset(texts.cycles.datasets[role] ?? role, name, rows, number(rows)),
            )
            .join(" · ")}
        </p>
      )}
      {dropped.length > 0 && (
        <>
          <h3 className={styles.subheading}>{texts.cycles.dropped}</h3>
          <Bars
            label={texts.cycles.dropped}
            bars={dropped.map(({ reason, count }) => ({
              name: texts.cycles.droppedReasons[reason] ?? reason,
              count,
            }))}
          />
        </>
      )}
      {doubted.length > 0 && (
        <Alert
          type="warning"
          className={styles.alert}
          title={texts.cycles.doubted}
          description={
            <ul className={styles.plain}>
              {doubted.map((account) => (
                <li key={account.person}>
                  {texts.cycles.doubtedAccount(
                    account.name || account.person,
                    account.doubted,
                    account.corrections,
                  )}
                </li>
              ))}
            </ul>
          }
        />
      )}
    </>
  );
}
