import { App, Button } from "antd";
import { useState } from "react";
import { useConsent, useSetConsent } from "../api/feedback";
import { useTexts } from "../i18n";
import { errorText } from "../lib/errorText";
import styles from "./Feedback.module.css";

const LATER = "rixin.consent.later";

/** Asked once of those who have not said yet whether their feedback may be learned from; `later` lasts as long as the tab. */
export function ConsentAsk() {
  const texts = useTexts();
  const { message } = App.useApp();
  const { data: consent } = useConsent();
  const set = useSetConsent();
  const [later, setLater] = useState(() => sessionStorage.getItem(LATER) !== null);
  if (later || consent === undefined || consent.rule !== "each" || consent.given !== null) return null;
  const say = (given: boolean) =>
    set.mutate(given, { onError: (error) => message.error(errorText(texts, error)) });
  return (
    <fieldset className={styles.consent} aria-label={texts.feedback.consent.title}>
      <p className={styles.sentence}>{texts.feedback.consent.ask}</p>
      <div className={styles.choices}>
        <Button size="small" type="primary" disabled={set.isPending} onClick={() => say(true)}>
          {texts.feedback.consent.yes}
        </Button>
        <Button size="small" disabled={set.isPending} onClick={() => say(false)}>
          {texts.feedback.consent.no}
        </Button>
        <Button
          size="small"
          type="text"
          onClick={() => {
            sessionStorage.setItem(LATER, "1");
            setLater(true);
          }}
        >
          {texts.feedback.consent.later}
        </Button>
      </div>
    </fieldset>
  );
}
