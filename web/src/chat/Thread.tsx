import { useEffect, useRef, useState } from "react";
import type { AssistantInfo, Message, Model } from "../api/types";
import { useTexts } from "../i18n";
import { DocumentDrawer } from "../library/DocumentDrawer";
import { AnswerMessage } from "./AnswerMessage";
import { Compare } from "./Compare";
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

/** Two answers to one question that are being compared. */
interface Pair {
  readonly first: string;
  readonly second: string;
}

const byId = (chat: Chat, id: string) => chat.conversation?.messages.find((message) => message.id === id);

/** The visible way through the conversation. */
export function Thread({ chat, models, assistants, attempt, stick }: ThreadProps) {
  const texts = useTexts();
  const busy = chat.writing !== null;
  const [open, setOpen] = useState<string | null>(null);
  const [pair, setPair] = useState<Pair | null>(null);
  const regenerate = (answer: Message) => {
    stick();
    void attempt(chat.regenerate(answer).then(() => setPair(null)));
  };
  const compare = (first: Message) => {
    stick();
    void attempt(chat.regenerate(first).then((second) => setPair({ first: first.id, second: second.id })));
  };
  return (
    <section className={styles.thread} aria-label={texts.chat.thread}>
      {chat.path.map((step, index) => {
        const { message } = step;
        const last = index === chat.path.length - 1;
        if (message.role === "user")
          return (
            <UserMessage
              key={message.id}
              step={step}
              busy={busy}
              onShow={(sibling) => chat.show(message, sibling)}
              onResend={(content) => attempt(chat.resend(message, content))}
            />
          );
        const told = { busy, onDone: chat.onDone, onRefused: chat.onRefused, onOpen: setOpen };
        // Who goes on with one of them has chosen it.
        const first = last && message.id === pair?.second ? byId(chat, pair.first) : undefined;
        if (first)
          return (
            <Compare
              key={message.id}
              first={first}
              second={message}
              onChosen={(chosen) => {
                setPair(null);
                chat.show(message, chosen.id);
              }}
              {...told}
            />
          );
        return (
          <AnswerMessage
            key={message.id}
            step={step}
            last={last}
            model={models?.find(({ id }) => id === message.model)}
            assistant={assistants?.find(({ id }) => id === message.model)}
            onShow={(sibling) => chat.show(message, sibling)}
            onRegenerate={() => regenerate(message)}
            onCompare={() => compare(message)}
            {...told}
          />
        );
      })}
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
