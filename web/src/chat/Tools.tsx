import { Button } from "antd";
import { useState } from "react";
import { consent } from "../api/console";
import type { Message, ToolUse } from "../api/types";
import { useTexts } from "../i18n";
import { errorText } from "../lib/errorText";
import styles from "./Tools.module.css";

/** The tools that an answer used or wants to use; one that may change something waits here for a word. */
export function Tools({ message, uses }: { message: Message; uses: readonly ToolUse[] }) {
  const texts = useTexts();
  if (uses.length === 0) return null;
  return (
    <section className={styles.tools} aria-label={texts.tools.title}>
      {uses.map((use) =>
        use.outcome === "asking" ? (
          <Asking key={use.id} message={message} use={use} />
        ) : (
          <details key={use.id} className={styles.use}>
            <summary>
              <code>{use.tool}</code> {texts.tools.outcome[use.outcome]}
            </summary>
            {use.arguments !== "" && <pre className={styles.text}>{use.arguments}</pre>}
            {use.text !== "" && <pre className={styles.text}>{use.text}</pre>}
          </details>
        ),
      )}
    </section>
  );
}

function Asking({ message, use }: { message: Message; use: ToolUse }) {
  const texts = useTexts();
  const [said, setSaid] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const say = async (allow: boolean) => {
    setSaid(true);
    try {
      await consent(message, use.id, allow);
    } catch (error) {
      setSaid(false);
      setProblem(errorText(texts, error));
    }
  };
  return (
    <div className={styles.asking} role="alert">
      <p className={styles.question}>{texts.tools.asks(use.tool)}</p>
      <pre className={styles.text}>{use.arguments}</pre>
      <div className={styles.choices}>
        <Button size="small" disabled={said} onClick={() => void say(false)}>
          {texts.tools.refuse}
        </Button>
        <Button size="small" type="primary" disabled={said} onClick={() => void say(true)}>
          {texts.tools.allow}
        </Button>
      </div>
      {problem !== null && <p className={styles.problem}>{problem}</p>}
    </div>
  );
}
