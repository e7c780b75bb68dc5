import { RedoOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { cycleKeys, isLive, repeatCycle } from "../api/cycles";
import type { Story, StoryStep } from "../api/types";
import { useFormats, useTexts } from "../i18n";
import { IconButton } from "../look/IconButton";
import { useConfirm } from "../look/useConfirm";
import styles from "./Cycle.module.css";
import { durationText } from "./duration";
import { useSentence } from "./sentence";

/** The ten steps in words: what each found, how long it took, and the way to do a Cycle again from there on. */
export function Steps({ story }: { story: Story }) {
  const texts = useTexts();
  const client = useQueryClient();
  const confirm = useConfirm();
  const { number } = useFormats();
  const say = useSentence();
  const repeat = ({ name }: StoryStep) =>
    confirm({
      title: texts.cycles.repeatFrom(texts.cycles.steps[name]),
      text: texts.cycles.repeatText,
      label: texts.cycles.repeat,
      action: () =>
        repeatCycle(story.id, name).finally(() => client.invalidateQueries({ queryKey: cycleKeys.all })),
    });
  return (
    <ol className={styles.steps} aria-label={texts.cycles.stepList}>
      {story.steps.map((step) => {
        const about = [
          texts.cycles.stepState[step.state],
          ...(step.seconds > 0 ? [durationText(step.seconds, texts, number)] : []),
          ...(step.attempts > 1 ? [texts.cycles.attempts(step.attempts)] : []),
        ];
        return (
          <li key={step.name} className={step.state === "waiting" ? styles.toCome : undefined}>
            <span className={styles.stepName}>{texts.cycles.steps[step.name]}</span>
            <span className={styles.quiet}> · {about.join(" · ")}</span>
            {mayRepeat(story, step) && (
              <span className={styles.repeat}>
                <IconButton
                  icon={<RedoOutlined aria-hidden />}
                  label={texts.cycles.repeatFrom(texts.cycles.steps[step.name])}
                  onClick={() => repeat(step)}
                />
              </span>
            )}
            {step.said !== "" && <div className={styles.stepSaid}>{say(step)}</div>}
          </li>
        );
      })}
    </ol>
  );
}

/** A Cycle that stands still can be done again from every step that it came to; a move is not made twice. */
function mayRepeat(story: Story, { name, state }: StoryStep): boolean {
  if (isLive(story) || (state !== "done" && state !== "failed")) return false;
  return name !== "promote" || story.outcome !== "promoted";
}
