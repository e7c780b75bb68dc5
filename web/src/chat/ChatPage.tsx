import { EditOutlined, MenuOutlined, MenuUnfoldOutlined } from "@ant-design/icons";
import { App, Button, Drawer, Result, Spin, Tooltip } from "antd";
import { useEffect, useState } from "react";
import { useLocation } from "wouter";
import { useAssistants } from "../api/assistants";
import { ApiError } from "../api/http";
import { useModels } from "../api/queries";
import { useTexts } from "../i18n";
import { errorText } from "../lib/errorText";
import { setPreference, usePreferences } from "../lib/preferences";
import { PHONE, useMedia } from "../lib/useMedia";
import styles from "./ChatPage.module.css";
import { Composer } from "./Composer";
import { Sidebar } from "./Sidebar";
import { Thread } from "./Thread";
import { useChat } from "./useChat";
import { useModelChoice } from "./useModelChoice";
import { useStickToBottom } from "./useStickToBottom";
import { Welcome } from "./Welcome";

/** The list of chats at the side, one chat in the middle. `id` is null for a new one. */
export function ChatPage({ id }: { id: string | null }) {
  const texts = useTexts();
  const phone = useMedia(PHONE);
  const { sidebar } = usePreferences();
  const [drawer, setDrawer] = useState(false);
  const beside = !phone && sidebar !== "closed";
  const openList = () => (phone ? setDrawer(true) : setPreference("sidebar", "open"));
  return (
    <div className={styles.page}>
      {beside && (
        <aside className={styles.side}>
          <Sidebar current={id} onHide={() => setPreference("sidebar", "closed")} onPick={() => undefined} />
        </aside>
      )}
      {phone && (
        <Drawer
          open={drawer}
          onClose={() => setDrawer(false)}
          placement="left"
          size={300}
          closable={false}
          title={null}
          aria-label={texts.chat.list}
          styles={{ body: { padding: 0 } }}
        >
          <Sidebar current={id} onHide={() => setDrawer(false)} onPick={() => setDrawer(false)} />
        </Drawer>
      )}
      <ChatColumn id={id} listShown={beside} onOpenList={openList} phone={phone} />
    </div>
  );
}

interface ColumnProps {
  id: string | null;
  listShown: boolean;
  phone: boolean;
  onOpenList: () => void;
}

function ChatColumn({ id, listShown, phone, onOpenList }: ColumnProps) {
  const texts = useTexts();
  const { message: toast } = App.useApp();
  const [, navigate] = useLocation();
  const models = useModels();
  const assistants = useAssistants();
  const choice = useModelChoice(models.data, assistants.data);
  const [draftPrompt, setDraftPrompt] = useState<string | null>(null);
  const chat = useChat(id, choice.selectedFor(id));
  const { scroller, content, far, stick } = useStickToBottom(
    id === null || chat.conversation ? id : "loading",
  );
  const title = chat.conversation?.title || (id === null ? texts.chat.new : texts.chat.untitled);
  const empty = id === null || (chat.conversation !== undefined && chat.path.length === 0);

  useEffect(() => {
    document.title = id === null ? `${texts.name}` : `${title} · ${texts.name}`;
  }, [id, title, texts]);

  /** Do something that the server may refuse, and say so if it does. */
  const attempt = async (action: Promise<void>) => {
    try {
      await action;
      return true;
    } catch (error) {
      toast.error(errorText(texts, error));
      return false;
    }
  };

  return (
    <main className={styles.main}>
      <header className={styles.head}>
        {!listShown && (
          <Tooltip title={phone ? null : texts.chat.openList}>
            <Button
              type="text"
              icon={phone ? <MenuOutlined aria-hidden /> : <MenuUnfoldOutlined aria-hidden />}
              aria-label={texts.chat.openList}
              onClick={onOpenList}
            />
          </Tooltip>
        )}
        <h1 className={styles.title} title={title}>
          {empty ? "" : title}
        </h1>
        {!listShown && (
          <Tooltip title={phone ? null : texts.chat.new}>
            <Button
              type="text"
              icon={<EditOutlined aria-hidden />}
              aria-label={texts.chat.new}
              onClick={() => navigate("/")}
            />
          </Tooltip>
        )}
      </header>
      {chat.loadError !== null ? (
        <div className={styles.middle}>
          {chat.loadError instanceof ApiError && chat.loadError.status === 404 ? (
            <Result
              icon={null}
              title={texts.chat.gone}
              extra={<Button onClick={() => navigate("/")}>{texts.chat.new}</Button>}
            />
          ) : (
            <Result
              icon={null}
              title={errorText(texts, chat.loadError)}
              extra={<Button onClick={chat.reload}>{texts.common.retry}</Button>}
            />
          )}
        </div>
      ) : (
        <>
          <div className={styles.scroller} ref={scroller}>
            <div ref={content} className={empty ? styles.filling : undefined}>
              {empty ? (
                <Welcome
                  onPrompt={setDraftPrompt}
                  onAssistant={(assistant) => attempt(choice.choose(id, assistant))}
                />
              ) : chat.conversation === undefined ? (
                <div className={styles.middle}>
                  <Spin delay={250} aria-label={texts.common.loading} />
                </div>
              ) : (
                <Thread
                  chat={chat}
                  models={models.data}
                  assistants={assistants.data}
                  attempt={attempt}
                  stick={stick}
                />
              )}
            </div>
          </div>
          <Composer
            key={id ?? "new"}
            id={id}
            prompt={draftPrompt}
            onPromptTaken={() => setDraftPrompt(null)}
            models={models.data}
            assistants={assistants.data}
            model={choice.selectedFor(id)}
            onModel={(model) => attempt(choice.choose(id, model))}
            writing={chat.writing}
            far={far}
            onToLatest={stick}
            onStop={(answer) => attempt(chat.stop(answer))}
            onBegin={chat.begin}
            onBegun={(fresh) => navigate(`/c/${fresh}`)}
            onSend={async (text) => {
              stick();
              return attempt(chat.send(text));
            }}
          />
        </>
      )}
    </main>
  );
}
