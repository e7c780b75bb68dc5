import { DownloadOutlined } from "@ant-design/icons";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { App, Button } from "antd";
import { cancelCycle, cycleKeys, isLive, pauseCycle, resumeCycle, rollBack, storyFile } from "../api/cycles";
import type { Story } from "../api/types";
import { useLanguage, useTexts } from "../i18n";
import { errorText } from "../lib/errorText";
import { useConfirm } from "../look/useConfirm";
import styles from "./Cycle.module.css";

/** What can be done with a Cycle as it stands. */
export function Actions({ story }: { story: Story }) {
  const texts = useTexts();
  const language = useLanguage();
  const client = useQueryClient();
  const { message } = App.useApp();
  const confirm = useConfirm();
  const refresh = () => client.invalidateQueries({ queryKey: cycleKeys.all });
  const act = useMutation({
    mutationFn: (action: (id: string) => Promise<unknown>) => action(story.id),
    onError: (error) => message.error(errorText(texts, error)),
    onSettled: refresh,
  });
  const cancel = () =>
    confirm({
      title: texts.cycles.cancelTitle,
      text: texts.cycles.cancelText,
      label: texts.cycles.cancel,
      danger: true,
      action: () => cancelCycle(story.id).finally(refresh),
    });
  const goBack = () =>
    confirm({
      title: texts.cycles.rollbackTitle(story.alias),
      text: texts.cycles.rollbackText,
      label: texts.cycles.rollback,
      danger: true,
      action: async () => {
        const alias = await rollBack(story.alias);
        message.success(texts.cycles.rolledBack(story.alias, alias.model));
        await refresh();
      },
    });
  const { status, canary, versions } = story;
  const inUse = versions.some(({ role, current }) => role === "after" && current);
  const onTrial = canary !== null && canary.outcome === null;
  return (
    <div className={styles.actions}>
      {isLive(story) && (
        <Button loading={act.isPending} onClick={() => act.mutate(pauseCycle)}>
          {texts.cycles.pause}
        </Button>
      )}
      {(status === "paused" || status === "failed") && (
        <Button type="primary" loading={act.isPending} onClick={() => act.mutate(resumeCycle)}>
          {texts.cycles.resume}
        </Button>
      )}
      {(isLive(story) || status === "paused") && (
        <Button danger onClick={cancel}>
          {texts.cycles.cancel}
        </Button>
      )}
      {(inUse || onTrial) && (
        <Button danger onClick={goBack}>
          {texts.cycles.rollback}
        </Button>
      )}
      <Button icon={<DownloadOutlined aria-hidden />} href={storyFile(story.id, language)}>
        {texts.cycles.file}
      </Button>
    </div>
  );
}
