import { useCallback } from "react";
import { changeConversation } from "../api/console";
import { keys, queryClient, useStoreConversation } from "../api/queries";
import type { AssistantInfo, ConversationWithMessages, Model } from "../api/types";
import { setPreference, usePreferences } from "../lib/preferences";

interface ModelChoice {
  readonly selectedFor: (id: string | null) => string | null;
  readonly choose: (id: string | null, model: string) => Promise<void>;
}

/**
 * Which model or assistant answers next: the conversation's own, for a new one the last one chosen in this browser, else the
 * server's default.
 */
export function useModelChoice(
  models: readonly Model[] | undefined,
  assistants: readonly AssistantInfo[] | undefined,
): ModelChoice {
  const { model: remembered } = usePreferences();
  const store = useStoreConversation();
  const fallback =
    models?.find((model) => model.id === remembered)?.id ??
    assistants?.find((assistant) => assistant.id === remembered)?.id ??
    models?.find((model) => model.default)?.id ??
    models?.[0]?.id ??
    null;
  const selectedFor = (id: string | null) =>
    (id !== null && queryClient.getQueryData<ConversationWithMessages>(keys.conversation(id))?.model) ||
    fallback;
  const choose = useCallback(
    async (id: string | null, model: string) => {
      setPreference("model", model);
      if (id !== null) store(await changeConversation(id, { model }));
    },
    [store],
  );
  return { selectedFor, choose };
}
