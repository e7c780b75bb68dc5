import type { Story } from "../api/types";
import { useTexts } from "../i18n";
import styles from "./Circle.module.css";

const WIDTH = 440;
const HEIGHT = 348;
const RADIUS = 126;
const DOT = 13;

/** Where a share of the way round is, from the top and as clocks go. */
function at(share: number, radius: number): { x: number; y: number } {
  const angle = 2 * Math.PI * share - Math.PI / 2;
  return { x: WIDTH / 2 + radius * Math.cos(angle), y: HEIGHT / 2 + radius * Math.sin(angle) };
}

/** The ten steps as a circle, and how far round it this Cycle has come. */
export function Circle({ story }: { story: Pick<Story, "alias" | "steps" | "status" | "outcome"> }) {
  const texts = useTexts();
  const { alias, steps, status, outcome } = story;
  const count = steps.length;
  const done = steps.filter(({ state }) => state === "done").length;
  const here = steps.findIndex(({ state }) => state === "running" || state === "failed");
  const reached = here === -1 ? steps.findLastIndex(({ state }) => state === "done") + 1 : here;
  const label =
    here === -1 || steps[here] === undefined
      ? texts.cycles.circleDone(done)
      : texts.cycles.circleAt(texts.cycles.steps[steps[here].name], here + 1);
  const circumference = 2 * Math.PI * RADIUS;
  return (
    <svg className={styles.circle} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
      <circle className={styles.ring} cx={WIDTH / 2} cy={HEIGHT / 2} r={RADIUS} />
      <circle
        className={styles.way}
        cx={WIDTH / 2}
        cy={HEIGHT / 2}
        r={RADIUS}
        strokeDasharray={`${(circumference * reached) / count} ${circumference}`}
        transform={`rotate(-90 ${WIDTH / 2} ${HEIGHT / 2})`}
      />
      {steps.map(({ name, state }, index) => {
        const share = index / count;
        const dot = at(share, RADIUS);
        const text = at(share, RADIUS + DOT + 11);
        const half = at(share + 0.5 / count, RADIUS);
        const side = Math.abs(text.x - WIDTH / 2) < 8 ? "middle" : text.x > WIDTH / 2 ? "start" : "end";
        return (
          <g key={name} className={styles[state]}>
            <path
              className={index < reached ? styles.arrowDone : styles.arrow}
              d="M-3.500 -4.500L3.500 0L-3.500 4.500"
              transform={`translate(${half.x} ${half.y}) rotate(${360 * (share + 0.5 / count)})`}
            />
            {state === "running" && <circle className={styles.pulse} cx={dot.x} cy={dot.y} r={DOT + 5} />}
            <circle className={styles.dot} cx={dot.x} cy={dot.y} r={DOT} />
            <Sign state={state} index={index} x={dot.x} y={dot.y} />
            <text
              className={styles.name}
              x={text.x}
              y={text.y}
              textAnchor={side}
              dominantBaseline={index === 0 ? "auto" : index === count / 2 ? "hanging" : "central"}
            >
              {texts.cycles.steps[name]}
            </text>
          </g>
        );
      })}
      <text className={styles.status} x={WIDTH / 2} y={HEIGHT / 2 - 6} textAnchor="middle">
        {outcome === null ? texts.cycles.status[status] : texts.cycles.outcome[outcome]}
      </text>
      <text className={styles.count} x={WIDTH / 2} y={HEIGHT / 2 + 20} textAnchor="middle">
        {here === -1 ? alias : `${here + 1} / ${count}`}
      </text>
    </svg>
  );
}

/** A tick, a cross, or the step's number. */
function Sign({ state, index, x, y }: { state: string; index: number; x: number; y: number }) {
  const drawn = { done: "M-5 0L-1.500 3.500L5 -3.500", failed: "M-4 -4L4 4M4 -4L-4 4" }[state];
  if (drawn) return <path className={styles.sign} d={drawn} transform={`translate(${x} ${y})`} />;
  return (
    <text className={styles.number} x={x} y={y} textAnchor="middle" dominantBaseline="central">
      {index + 1}
    </text>
  );
}
