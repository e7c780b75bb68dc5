import { ArrowDownOutlined, ArrowUpOutlined, PaperClipOutlined } from "@ant-design/icons";
import { Sender, type SenderProps } from "@ant-design/x";
import { Button, type GetRef, Tooltip } from "antd";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import type { AssistantInfo, Message, Model } from "../api/types";
import { useTexts } from "../i18n";
import { useMedia } from "../lib/useMedia";
import { useSignedIn } from "../session/SignedIn";
import { Attachments } from "./Attachments";
import styles from "./Composer.module.css";
import { readDraft, writeDraft } from "./drafts";
import { ModelSelect } from "./ModelSelect";
import { useAttaching } from "./useAttaching";

interface ComposerProps {
  id: string | null;
  /** A starter prompt to put in; taken once. */
  prompt: string | null;
  onPromptTaken: () => void;
  models: readonly Model[] | undefined;
  assistants: readonly AssistantInfo[] | undefined;
  model: string | null;
  onModel: (model: string) => void;
  writing: Message | null;
  far: boolean;
  onToLatest: () => void;
  onStop: (answer: Message) => Promise<boolean>;
  /** Begin the conversation if it has not begun; gives its id. Raises what the server or the network raised. */
  onBegin: () => Promise<string>;
  /** The conversation has begun with something attached: go to its own page. */
  onBegun: (id: string) => void;
  /** Whether the message was taken; one that was not stays in the box. */
  onSend: (text: string) => Promise<boolean>;
}

/** Where a message is written. Enter sends, Shift+Enter makes a line; an input method's own Enter does neither. */
export function Composer(props: ComposerProps) {
  const { id, prompt, onPromptTaken, writing } = props;
  const texts = useTexts();
  const sender = useRef<GetRef<typeof Sender>>(null);
  const { user } = useSignedIn();
  const touch = useMedia("(pointer: coarse)");
  const [text, setText] = useState(() => readDraft(user.id, id));
  const [busy, setBusy] = useState(false);
  const [stopping, setStopping] = useState<string | null>(null);
  // Files are sent while one goes on writing.
  const latest = useRef(text);
  latest.current = text;
  const attachments = useAttaching(id, props.onBegin, (fresh) => {
    writeDraft(user.id, fresh, latest.current);
    writeDraft(user.id, id, "");
    props.onBegun(fresh);
  });
  const input = useRef<HTMLInputElement>(null);
  const sendable = text.trim() !== "" && !busy && writing === null && !attachments.busy;

  useEffect(() => writeDraft(user.id, id, text), [user.id, id, text]);
  useEffect(() => {
    // On a touch screen the keyboard would cover half of what there is to read.
    if (!touch) sender.current?.focus();
  }, [touch]);
  useEffect(() => {
    if (prompt === null) return;
    setText(prompt);
    onPromptTaken();
    sender.current?.focus({ cursor: "end" });
  }, [prompt, onPromptTaken]);

  const submit = async () => {
    if (!sendable) return;
    setBusy(true);
    const taken = await props.onSend(text.trim());
    setBusy(false);
    if (taken) {
      writeDraft(user.id, id, "");
      setText("");
    }
  };
  const stop = async (answer: Message) => {
    setStopping(answer.id);
    await props.onStop(answer);
    setStopping(null);
    sender.current?.focus();
  };
  const onKeyDown: SenderProps["onKeyDown"] = (event: KeyboardEvent) => {
    // While an input method composes, Enter picks its word. Safari ends the composition before this event comes, and
    // only the old key code 229 tells. A touch keyboard has no Shift+Enter: its Enter makes a line.
    const composing = event.nativeEvent.isComposing || event.keyCode === 229;
    if (event.key === "Enter" && !event.shiftKey && !composing && !touch) {
      event.preventDefault();
      void submit();
    }
    return false; // nothing is left for Sender to do
  };

  return (
    <div className={styles.place}>
      {props.far && (
        <Tooltip title={texts.chat.toLatest}>
          <Button
            className={styles.toLatest}
            shape="circle"
            icon={<ArrowDownOutlined aria-hidden />}
            aria-label={texts.chat.toLatest}
            onClick={props.onToLatest}
          />
        </Tooltip>
      )}
      <Attachments attachments={attachments} />
      <input
        ref={input}
        type="file"
        multiple
        hidden
        onChange={(event) => {
          void attachments.add([...(event.target.files ?? [])]);
          event.target.value = "";
        }}
      />
      <Sender
        ref={sender}
        className={styles.sender}
        value={text}
        onChange={setText}
        onKeyDown={onKeyDown}
        placeholder={texts.chat.placeholder}
        aria-label={texts.chat.inputLabel}
        autoSize={{ minRows: 1, maxRows: 9 }}
        suffix={false}
        footer={
          <div className={styles.tools}>
            <div className={styles.left}>
              <Tooltip title={texts.chat.attach}>
                <Button
                  type="text"
                  size="small"
                  icon={<PaperClipOutlined aria-hidden />}
                  aria-label={texts.chat.attach}
                  disabled={attachments.sending !== null}
                  onClick={() => input.current?.click()}
                />
              </Tooltip>
              <ModelSelect
                models={props.models}
                assistants={props.assistants}
                value={props.model}
                onChange={props.onModel}
              />
            </div>
            {writing !== null ? (
              <Tooltip title={texts.chat.stop}>
                <Button
                  shape="circle"
                  type="primary"
                  icon={<span className={styles.square} />}
                  aria-label={texts.chat.stop}
                  disabled={stopping === writing.id}
                  onClick={() => stop(writing)}
                />
              </Tooltip>
            ) : (
              <Button
                shape="circle"
                type="primary"
                icon={<ArrowUpOutlined aria-hidden />}
                aria-label={texts.chat.send}
                disabled={!sendable}
                loading={busy}
                onClick={submit}
              />
            )}
          </div>
        }
      />
      <p className={styles.hint}>{touch ? texts.chat.caution : `${texts.chat.keys}${texts.chat.caution}`}</p>
    </div>
  );
}
