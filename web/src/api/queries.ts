import {
  type InfiniteData,
  QueryClient,
  replaceEqualDeep,
  useInfiniteQuery,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { useCallback } from "react";
import { onConnectionChange } from "./connection";
import * as api from "./console";
import { ApiError, onRefusal, Unreachable } from "./http";
import type { Conversation, ConversationPage, ConversationWithMessages, Message } from "./types";

export const keys = {
  session: ["session"],
  models: ["models"],
  conversations: ["conversations"],
  conversation: (id: string) => ["conversation", id],
  apiKeys: ["keys"],
  users: ["users"],
} as const;

/** A model that is being loaded is looked at again after this long. */
const MODELS_LOADING_MS = 2000;
const MODELS_MS = 60_000;

export const queryClient = new QueryClient({
  defaultOptions: {
    // Whether the server is there is known from src/api/connection.ts, not guessed from the network card.
    queries: { networkMode: "always", refetchOnWindowFocus: false, staleTime: 30_000, retry: false },
    mutations: { networkMode: "always", retry: false },
  },
});

// The session may have ended, here or in another window: look, and show the door if so.
onRefusal(() => void queryClient.invalidateQueries({ queryKey: keys.session }));
onConnectionChange((reachable) => void (reachable && queryClient.invalidateQueries()));

/** Forget everything but the session itself: it belongs to whoever was signed in before. */
export function forgetAll(): void {
  queryClient.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== keys.session[0] });
}

export const useSession = () =>
  useQuery({ queryKey: keys.session, queryFn: api.getSession, staleTime: Number.POSITIVE_INFINITY });

export const useModels = () =>
  useQuery({
    queryKey: keys.models,
    queryFn: api.listModels,
    refetchInterval: ({ state }) =>
      state.data?.some((model) => model.state === "loading") ? MODELS_LOADING_MS : MODELS_MS,
  });

export const useConversations = () =>
  useInfiniteQuery({
    queryKey: keys.conversations,
    queryFn: ({ pageParam }) => api.listConversations(pageParam),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
  });

export const useConversation = (id: string | null) =>
  useQuery({
    queryKey: keys.conversation(id ?? ""),
    queryFn: () => api.getConversation(id ?? ""),
    enabled: id !== null,
    // Another window, or the server's own end of an answer, may have changed it.
    staleTime: 0,
    structuralSharing: (held, fresh) =>
      replaceEqualDeep(
        held,
        keepFinished(held as ConversationWithMessages | undefined, fresh as ConversationWithMessages),
      ),
    retry: (failures, error) =>
      failures < 2 && !(error instanceof ApiError) && !(error instanceof Unreachable),
  });

export const useKeys = () => useQuery({ queryKey: keys.apiKeys, queryFn: api.listKeys });

export const useUsers = () => useQuery({ queryKey: keys.users, queryFn: api.listUsers });

/**
 * A conversation that was fetched may be older than what its streams have told since: an answer that is finished here
 * stays so, or it would seem to be written for ever.
 */
export function keepFinished(
  held: ConversationWithMessages | undefined,
  fresh: ConversationWithMessages,
): ConversationWithMessages {
  const finished = new Map(
    held?.messages.filter(({ status }) => status !== "generating").map((message) => [message.id, message]),
  );
  const messages = fresh.messages.map((message) =>
    message.status === "generating" ? (finished.get(message.id) ?? message) : message,
  );
  return { ...fresh, messages };
}

/** Put messages into a conversation that is already here: new ones at the end, known ones in their place. */
export function withMessages(
  conversation: ConversationWithMessages,
  messages: readonly Message[],
): ConversationWithMessages {
  const fresh = new Map(messages.map((message) => [message.id, message]));
  const known = conversation.messages.map((message) => {
    const replacement = fresh.get(message.id);
    fresh.delete(message.id);
    return replacement ?? message;
  });
  return { ...conversation, messages: [...known, ...fresh.values()] };
}

export function useStoreMessages(): (conversation: string, ...messages: Message[]) => void {
  const client = useQueryClient();
  return useCallback(
    (conversation, ...messages) => {
      client.setQueryData<ConversationWithMessages>(keys.conversation(conversation), (held) =>
        held === undefined ? held : withMessages(held, messages),
      );
    },
    [client],
  );
}

/** Put a changed conversation into the list and into its own page. */
export function useStoreConversation(): (conversation: Conversation) => void {
  const client = useQueryClient();
  return useCallback(
    (conversation) => {
      client.setQueryData<ConversationWithMessages>(keys.conversation(conversation.id), (held) =>
        held === undefined ? held : { ...held, ...conversation, messages: held.messages },
      );
      client.setQueryData<InfiniteData<ConversationPage>>(keys.conversations, (held) =>
        held === undefined
          ? held
          : {
              ...held,
              pages: held.pages.map((page) => ({
                ...page,
                data: page.data.map((one) =>
                  one.id === conversation.id ? { ...one, ...conversation } : one,
                ),
              })),
            },
      );
    },
    [client],
  );
}
