import { useEffect, useRef, useState } from "react";
import type { AssistantInfo, Message, Model } from "../api/types";
import { useTexts } from "../i18n";
import { DocumentDrawer } from "../library/DocumentDrawer";
import { AnswerMessage } from "./AnswerMessage";
import styles from "./Thread.module.css";
import { UserMessage } from "./UserMessage";
import type { Chat } from "./useChat";

interface ThreadProps {
  chat: Chat;
  models: readonly Model[] | undefined;
  assistants: readonly AssistantInfo[] | undefined;
  attempt: (action: Promise<void>) => Promise<boolean>;
  stick: () => void;
}

/** The visible way through the conversation. */
export function Thread({ chat, models, assistants, attempt, stick }: ThreadProps) {
  const texts = useTexts();
  const busy = chat.writing !== null;
  const [open, setOpen] = useState<string | null>(null);
  const regenerate = (answer: Message) => {
    stick();
    void attempt(chat.regenerate(answer));
  };
  return (
    <section className={styles.thread} aria-label={texts.chat.thread}>
      {chat.path.map((step, index) =>
        step.message.role === "user" ? (
          <UserMessage
            key={step.message.id}
            step={step}
            busy={busy}
            onShow={(sibling) => chat.show(step.message, sibling)}
            onResend={(content) => attempt(chat.resend(step.message, content))}
          />
        ) : (
          <AnswerMessage
            key={step.message.id}
            step={step}
            busy={busy}
            last={index === chat.path.length - 1}
            model={models?.find(({ id }) => id === step.message.model)}
            assistant={assistants?.find(({ id }) => id === step.message.model)}
            onShow={(sibling) => chat.show(step.message, sibling)}
            onRegenerate={() => regenerate(step.message)}
            onDone={chat.onDone}
            onRefused={chat.onRefused}
            onOpen={setOpen}
          />
        ),
      )}
      <Announcer writing={busy} />
      {open && <DocumentDrawer address={open} onClose={() => setOpen(null)} />}
    </section>
  );
}

/** Tells screen readers when an answer begins and when it is complete; reading every piece of it would be noise. */
function Announcer({ writing }: { writing: boolean }) {
  const texts = useTexts();
  const wrote = useRef(false);
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (writing) {
      wrote.current = true;
      setSaid(texts.chat.writing);
    } else if (wrote.current) {
      wrote.current = false;
      setSaid(texts.chat.written);
    }
  }, [writing, texts]);
  return <output className="visually-hidden">{said}</output>;
}
