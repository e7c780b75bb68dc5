import createClient from "openapi-fetch";
import { apiError, send, setCsrf } from "./http";
import type { paths } from "./schema";
import type {
  Conversation,
  ConversationPage,
  ConversationWithMessages,
  Key,
  Message,
  Model,
  NewKey,
  Question,
  Role,
  Session,
  User,
  UserChanges,
} from "./types";

/** Every call of the console API, checked against the server's OpenAPI document. */
export const client = createClient<paths>({
  // Absolute, since a Request outside of a page (in tests) knows no address to start from.
  baseUrl: globalThis.location?.origin ?? "http://localhost",
  fetch: send,
  cache: "no-store",
});

export const PAGE_SIZE = 40;

type Answered<Data> = { data?: Data; error?: unknown; response: Response };

/** What the server answered. Raises ApiError where it refused, Unreachable where nothing answered. */
export async function data<Data>(answered: Promise<Answered<Data>>): Promise<Data> {
  const { data: answer, response, error } = await answered;
  if (!response.ok) throw apiError(response.status, error);
  return answer as Data;
}

export async function getSession(): Promise<Session> {
  const session = await data(client.GET("/api/session"));
  setCsrf(session.csrf);
  return session;
}

export async function setup(token: string, name: string, password: string): Promise<void> {
  await data(client.POST("/api/setup", { body: { token, name, password } }));
}

export async function signIn(name: string, password: string): Promise<void> {
  await data(client.POST("/api/session", { body: { name, password } }));
}

export async function signOut(): Promise<void> {
  await data(client.DELETE("/api/session"));
}

export async function changePassword(old: string, fresh: string): Promise<void> {
  await data(client.POST("/api/password", { body: { old, new: fresh } }));
}

export async function listUsers(): Promise<User[]> {
  return (await data(client.GET("/api/users"))).data;
}

export function createUser(name: string, password: string, role: Role): Promise<User> {
  return data(client.POST("/api/users", { body: { name, password, role } }));
}

export function changeUser(id: string, changes: UserChanges): Promise<User> {
  return data(client.PATCH("/api/users/{user_id}", { params: { path: { user_id: id } }, body: changes }));
}

export async function deleteUser(id: string): Promise<void> {
  await data(client.DELETE("/api/users/{user_id}", { params: { path: { user_id: id } } }));
}

export async function listKeys(): Promise<Key[]> {
  return (await data(client.GET("/api/keys"))).data;
}

export function createKey(name: string, days: number | null): Promise<NewKey> {
  return data(client.POST("/api/keys", { body: { name, expires_in_days: days } }));
}

export async function revokeKey(id: string): Promise<void> {
  await data(client.DELETE("/api/keys/{key_id}", { params: { path: { key_id: id } } }));
}

export async function listModels(): Promise<Model[]> {
  return (await data(client.GET("/api/models"))).data;
}

export function listConversations(cursor: string | null): Promise<ConversationPage> {
  return data(client.GET("/api/conversations", { params: { query: { limit: PAGE_SIZE, cursor } } }));
}

export function createConversation(model: string | null): Promise<Conversation> {
  return data(client.POST("/api/conversations", { body: { model } }));
}

export function getConversation(id: string): Promise<ConversationWithMessages> {
  return data(
    client.GET("/api/conversations/{conversation_id}", { params: { path: { conversation_id: id } } }),
  );
}

export function changeConversation(
  id: string,
  body: { title?: string; model?: string },
): Promise<Conversation> {
  return data(
    client.PATCH("/api/conversations/{conversation_id}", { params: { path: { conversation_id: id } }, body }),
  );
}

export async function deleteConversation(id: string): Promise<void> {
  await data(
    client.DELETE("/api/conversations/{conversation_id}", { params: { path: { conversation_id: id } } }),
  );
}

export function sendMessage(
  conversation: string,
  body: Question,
): Promise<{ user: Message; answer: Message }> {
  const path = { conversation_id: conversation };
  return data(client.POST("/api/conversations/{conversation_id}/messages", { params: { path }, body }));
}

/** Have `answer` written again, beside it. */
export function regenerate(answer: Message, model: string | null): Promise<{ answer: Message }> {
  return data(
    client.POST("/api/conversations/{conversation_id}/messages/{message_id}/regenerate", {
      params: { path: pathOf(answer) },
      body: { model },
    }),
  );
}

export function stop(answer: Message): Promise<{ answer: Message }> {
  return data(
    client.POST("/api/conversations/{conversation_id}/messages/{message_id}/stop", {
      params: { path: pathOf(answer) },
    }),
  );
}

/** What the person says to a call that waits for it. */
export async function consent(answer: Message, callId: string, allow: boolean): Promise<void> {
  await data(
    client.POST("/api/conversations/{conversation_id}/consent", {
      params: { path: { conversation_id: answer.conversation_id } },
      body: { message_id: answer.id, call_id: callId, allow },
    }),
  );
}

function pathOf(message: Message): { conversation_id: string; message_id: string } {
  return { conversation_id: message.conversation_id, message_id: message.id };
}
