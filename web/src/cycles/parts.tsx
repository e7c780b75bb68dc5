import type { ReactNode } from "react";
import { useFormats } from "../i18n";
import styles from "./Cycle.module.css";

/** A part of the story under its heading. */
export function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className={styles.part}>
      <h2 className={styles.heading}>{title}</h2>
      {children}
    </section>
  );
}

/** A sentence of the server's: what stands between backticks in it is a command. */
export function Sentence({ text }: { text: string }) {
  return text.split("`").map((part, index) =>
    index % 2 === 1 ? (
      // biome-ignore lint/suspicious/noArrayIndexKey: parts of a text have nothing but their place
      <code key={index} className={styles.code}>
        {part}
      </code>
    ) : (
      part
    ),
  );
}

/** Figures with what they are, side by side; one whose value is null is left out. */
export function Facts({ facts }: { facts: readonly (readonly [name: string, value: string | null])[] }) {
  return (
    <dl className={styles.facts}>
      {facts.map(([name, value]) =>
        value === null ? null : (
          <div key={name} className={styles.fact}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ),
      )}
    </dl>
  );
}

/** Counts as bars, the longest one as long as there is room. */
export function Bars({ label, bars }: { label: string; bars: readonly { name: string; count: number }[] }) {
  const { number } = useFormats();
  const most = Math.max(1, ...bars.map(({ count }) => count));
  return (
    <ul className={styles.bars} aria-label={label}>
      {bars.map(({ name, count }) => (
        <li key={name} className={styles.bar}>
          <span className={styles.barName}>{name}</span>
          <span className={styles.barTrack} aria-hidden>
            <span className={styles.barFill} style={{ width: `${(100 * count) / most}%` }} />
          </span>
          <span className={styles.barCount}>{number(count)}</span>
        </li>
      ))}
    </ul>
  );
}
