import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useLocation } from "wouter";
import * as api from "../api/console";
import { ApiError } from "../api/http";
import { keys, useConversation, useStoreMessages } from "../api/queries";
import type { ConversationWithMessages, Message } from "../api/types";
import { type Choices, choose, type Step, visiblePath } from "./tree";

export interface Chat {
  readonly conversation: ConversationWithMessages | undefined;
  readonly path: readonly Step[];
  /** The answer that is being written at the end of the path. */
  readonly writing: Message | null;
  readonly loadError: Error | null;
  readonly reload: () => void;
  /** See that there is a conversation to add something to; gives its id. */
  readonly begin: () => Promise<string>;
  /** Send a new message at the end. Raises what the server or the network raised; nothing is lost then. */
  readonly send: (content: string) => Promise<void>;
  /** Send another wording of a message: a branch beside it. */
  readonly resend: (message: Message, content: string) => Promise<void>;
  /** Have an answer written again: a branch beside it, which is given. */
  readonly regenerate: (answer: Message) => Promise<Message>;
  readonly stop: (answer: Message) => Promise<void>;
  readonly show: (message: Message, sibling: string) => void;
  readonly onDone: (answer: Message) => void;
  readonly onRefused: (error: unknown) => void;
}

const NO_CHOICES: Choices = new Map();
const NO_MESSAGES: readonly Message[] = [];

/** One conversation and all that can be done in it; `id` is null for one that has not begun. */
export function useChat(id: string | null, model: string | null): Chat {
  const client = useQueryClient();
  const [, navigate] = useLocation();
  const { data: conversation, error: loadError, refetch } = useConversation(id);
  const storeMessages = useStoreMessages();
  const [chosen, setChosen] = useState<{ id: string | null; choices: Choices }>({ id, choices: NO_CHOICES });
  const choices = chosen.id === id ? chosen.choices : NO_CHOICES;
  const messages = conversation?.messages ?? NO_MESSAGES;
  const path = useMemo(() => visiblePath(messages, choices), [messages, choices]);
  const last = path.at(-1)?.message ?? null;
  /** A conversation whose first message could not be sent; the next try uses it. */
  const begun = useRef<ConversationWithMessages | null>(null);

  useEffect(() => {
    if (id !== null) begun.current = null;
  }, [id]);

  const pick = useCallback(
    (message: Message) =>
      setChosen((held) => ({
        id: message.conversation_id,
        choices: choose(
          held.id === message.conversation_id ? held.choices : NO_CHOICES,
          message.parent_id,
          message.id,
        ),
      })),
    [],
  );
  const listChanged = useCallback(
    () => void client.invalidateQueries({ queryKey: keys.conversations }),
    [client],
  );

  const sendBelow = async (conversationId: string, parent: string | null, content: string) => {
    const { user, answer } = await api.sendMessage(conversationId, {
      parent_id: parent,
      content,
      model,
    });
    storeMessages(conversationId, user, answer);
    pick(user);
    pick(answer);
    listChanged();
  };

  const begin = async () => {
    if (id !== null) return id;
    begun.current ??= { ...(await api.createConversation(model)), messages: [] };
    client.setQueryData(keys.conversation(begun.current.id), begun.current);
    return begun.current.id;
  };

  const send = async (content: string) => {
    if (id !== null) {
      await sendBelow(id, last?.id ?? null, content);
      return;
    }
    const fresh = await begin();
    await sendBelow(fresh, null, content);
    begun.current = null;
    navigate(`/c/${fresh}`);
  };

  const onDone = useCallback(
    (answer: Message) => {
      storeMessages(answer.conversation_id, answer);
      listChanged();
      void client.invalidateQueries({ queryKey: keys.models });
    },
    [client, storeMessages, listChanged],
  );

  return {
    conversation,
    path,
    writing: last?.role === "assistant" && last.status === "generating" ? last : null,
    loadError: conversation === undefined ? loadError : null,
    reload: () => void refetch(),
    begin,
    send,
    resend: (message, content) => sendBelow(message.conversation_id, message.parent_id, content),
    regenerate: async (old) => {
      const { answer } = await api.regenerate(old, model);
      storeMessages(answer.conversation_id, answer);
      pick(answer);
      return answer;
    },
    stop: async (answer) => {
      onDone((await api.stop(answer)).answer);
    },
    show: (message, sibling) => pick({ ...message, id: sibling }),
    onDone,
    onRefused: (error) => {
      if (error instanceof ApiError) void refetch();
    },
  };
}
