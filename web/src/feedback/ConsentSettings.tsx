import { useQueryClient } from "@tanstack/react-query";
import { Alert, Button, Switch } from "antd";
import { useId, useState } from "react";
import { feedbackKeys, useConsent, useSetConsent, type Withdrawn, withdrawAll } from "../api/feedback";
import { useTexts } from "../i18n";
import { errorText } from "../lib/errorText";
import { Loaded } from "../look/Loaded";
import { useConfirm } from "../look/useConfirm";
import settings from "../settings/Settings.module.css";

/** Whether one's feedback may be learned from, and the way to take all of it back. */
export function ConsentSettings() {
  const texts = useTexts();
  const words = texts.feedback.consent;
  const label = useId();
  const client = useQueryClient();
  const confirm = useConfirm();
  const consent = useConsent();
  const set = useSetConsent();
  const [withdrawn, setWithdrawn] = useState<Withdrawn | null>(null);
  const withdraw = () =>
    confirm({
      title: words.withdrawTitle,
      text: words.withdrawText,
      label: words.withdraw,
      danger: true,
      action: async () => {
        setWithdrawn(await withdrawAll());
        await client.invalidateQueries({ queryKey: feedbackKeys.all });
      },
    });
  return (
    <section className={settings.section}>
      <h2>{words.title}</h2>
      <Loaded query={consent}>
        {({ rule, given }) => (
          <>
            <p className={settings.quiet}>{words.rule[rule]}</p>
            {rule !== "nobody" && (
              <p className={settings.choice}>
                <Switch
                  aria-labelledby={label}
                  checked={given ?? rule === "all"}
                  loading={set.isPending}
                  onChange={(on) => set.mutate(on)}
                />
                <span id={label}>{words.mine}</span>
              </p>
            )}
            {set.error && <Alert type="error" role="alert" title={errorText(texts, set.error)} />}
          </>
        )}
      </Loaded>
      <Button danger onClick={withdraw}>
        {words.withdraw}
      </Button>
      {withdrawn && (
        <Alert
          type="success"
          role="status"
          className={settings.result}
          title={words.withdrawn(
            withdrawn.feedback,
            withdrawn.replaced.length,
            withdrawn.versions_marked.length,
          )}
        />
      )}
    </section>
  );
}
