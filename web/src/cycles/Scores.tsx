import type { ScoreChange } from "../api/types";
import { useFormats, useTexts } from "../i18n";
import { type Axis, axisOf, placeOn } from "./axis";
import styles from "./Cycle.module.css";

/** What was measured before and after, each change with the interval that it lies in. */
export function Scores({ scores }: { scores: readonly ScoreChange[] }) {
  const texts = useTexts();
  const groups = [
    { title: texts.cycles.aim, scores: scores.filter(({ role }) => role === "primary") },
    { title: texts.cycles.rest, scores: scores.filter(({ role }) => role !== "primary") },
  ].filter((group) => group.scores.length > 0);
  return groups.map((group) => (
    <div key={group.title} className={styles.scores}>
      <h3 className={styles.subheading}>{group.title}</h3>
      <ul className={styles.changes}>
        {group.scores.map((score) => (
          <Change
            key={`${score.suite} ${score.task} ${score.metric}`}
            score={score}
            axis={axisOf(scores.filter((one) => one.higher_is_better === score.higher_is_better))}
          />
        ))}
      </ul>
    </div>
  ));
}

function Change({ score, axis }: { score: ScoreChange; axis: Axis }) {
  const texts = useTexts();
  const { number } = useFormats();
  const { before, after, difference, low, high, items } = score;
  // What is better when it is higher is a share; the rest (perplexity, bits per byte) has a unit of its own.
  const share = score.higher_is_better;
  const value = (one: number) => (share ? `${number(100 * one, 1, 1)}%` : number(one, 3, 3));
  const signed = (one: number) => {
    const text = share ? number(Math.abs(100 * one), 1, 1) : number(Math.abs(one), 3, 3);
    return `${one < 0 ? "−" : "+"}${text}`;
  };
  const change = share ? texts.cycles.points(signed(difference)) : signed(difference);
  const interval = low === null || high === null ? null : `${signed(low)} … ${signed(high)}`;
  const worse = high !== null && high < 0;
  const sure = low !== null && low > 0;
  return (
    <li className={styles.change}>
      <div className={styles.changeName}>
        <strong>{score.suite_title || score.suite}</strong>
        <span className={styles.quiet}>
          {[
            score.task,
            score.metric,
            texts.cycles.questions(items, number(items)),
            ...(score.gained + score.lost === 0
              ? []
              : [texts.cycles.gainedLost(number(score.gained), number(score.lost))]),
          ].join(" · ")}
        </span>
      </div>
      <div className={styles.values}>
        <span>
          <span className="visually-hidden">{texts.cycles.before} </span>
          {value(before)}
        </span>
        <span aria-hidden>→</span>
        <span className={styles.afterValue}>
          <span className="visually-hidden">{texts.cycles.after} </span>
          {value(after)}
        </span>
      </div>
      <div className={styles.difference}>
        <IntervalPicture axis={axis} low={low} high={high} difference={difference} />
        <span className={worse ? styles.worse : sure ? styles.sure : undefined}>{change}</span>
        {interval !== null && <span className={styles.quiet}>{`(${interval})`}</span>}
      </div>
    </li>
  );
}

const WIDTH = 200;
const HEIGHT = 22;

function IntervalPicture({
  axis,
  low,
  high,
  difference,
}: {
  axis: Axis;
  low: number | null;
  high: number | null;
  difference: number;
}) {
  const x = (value: number) => 6 + (WIDTH - 12) * placeOn(axis, value);
  const middle = HEIGHT / 2;
  return (
    <svg className={styles.interval} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      <line className={styles.zero} x1={x(0)} x2={x(0)} y1={1} y2={HEIGHT - 1} />
      {low !== null && high !== null && (
        <line className={styles.range} x1={x(low)} x2={x(high)} y1={middle} y2={middle} />
      )}
      <circle className={styles.point} cx={x(difference)} cy={middle} r={4.5} />
    </svg>
  );
}
