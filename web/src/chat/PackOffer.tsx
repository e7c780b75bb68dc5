import { BookOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { Button, Progress } from "antd";
import { useEffect, useRef } from "react";
import { assistantKeys, useInstallPack, usePacks } from "../api/assistants";
import { libraryKeys } from "../api/libraries";
import type { Pack } from "../api/types";
import { useFormats, useLanguage, useTexts } from "../i18n";
import { codeText, errorText } from "../lib/errorText";
import { useSignedIn } from "../session/SignedIn";
import styles from "./Welcome.module.css";

/** For administrators: packs that are not here yet, each with its installation, and then the way to talk to it. */
export function PackOffer({ onAssistant }: { onAssistant: (assistant: string) => void }) {
  const { user } = useSignedIn();
  const packs = usePacks(user.role === "admin");
  return packs.data?.map((pack) => <Offer key={pack.name} pack={pack} onAssistant={onAssistant} />);
}

function Offer({ pack, onAssistant }: { pack: Pack; onAssistant: (assistant: string) => void }) {
  const texts = useTexts();
  const language = useLanguage();
  const client = useQueryClient();
  const install = useInstallPack();
  const before = useRef(pack.state);
  const came = before.current !== "installed" && pack.state === "installed";
  useEffect(() => {
    if (!came) return;
    void client.invalidateQueries({ queryKey: assistantKeys.all });
    void client.invalidateQueries({ queryKey: libraryKeys.all });
  }, [came, client]);
  // One that was here already when the page was opened needs no words.
  if (pack.state === "installed" && !came) return null;
  const problem = install.error
    ? errorText(texts, install.error)
    : pack.error && `${texts.packs.failed} ${codeText(texts, null, pack.error)}`;
  return (
    <section className={styles.pack} aria-label={pack.title[language]}>
      <BookOutlined className={styles.packSign} aria-hidden />
      <div className={styles.packText}>
        <strong>{pack.title[language]}</strong>
        <span>{pack.description[language]}</span>
        {pack.progress && <Steps progress={pack.progress} />}
        {problem && (
          <span role="alert" className={styles.packProblem}>
            {problem}
          </span>
        )}
      </div>
      {pack.state === "installed" ? (
        <Button type="primary" onClick={() => onAssistant(pack.assistant)}>
          {texts.packs.talk}
        </Button>
      ) : (
        <Button
          type="primary"
          loading={install.isPending || pack.state === "installing"}
          onClick={() => install.mutate(pack.name)}
        >
          {pack.state === "installing"
            ? texts.packs.installing
            : pack.state === "begun"
              ? texts.packs.goOn
              : texts.packs.install}
        </Button>
      )}
    </section>
  );
}

function Steps({ progress }: { progress: NonNullable<Pack["progress"]> }) {
  const texts = useTexts();
  const { number } = useFormats();
  const { step, done, total, seconds_left: left } = progress;
  const said = [
    texts.packs.step[step],
    ...(step === "reading" && total > 0 ? [`${number(done)} / ${number(total)}`] : []),
    ...(left === null ? [] : [texts.packs.left(number(Math.max(1, Math.round(left))))]),
  ];
  return (
    <>
      <Progress
        percent={total > 0 ? Math.floor((100 * done) / total) : 0}
        size="small"
        aria-label={texts.packs.step[step]}
      />
      <span className={styles.packStep}>{said.join(" · ")}</span>
    </>
  );
}
