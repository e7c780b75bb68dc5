import { apiError, send, setCsrf } from "./http";
import type {
  Conversation,
  ConversationPage,
  ConversationWithMessages,
  Key,
  Message,
  Model,
  NewKey,
  Role,
  Session,
  SignedIn,
  User,
} from "./types";

type Method = "GET" | "POST" | "PATCH" | "DELETE";

async function call<Answer>(method: Method, path: string, body?: object): Promise<Answer> {
  const headers = { accept: "application/json", ...(body && { "content-type": "application/json" }) };
  const response = await send(
    new Request(path, { method, headers, body: body ? JSON.stringify(body) : null, cache: "no-store" }),
  );
  const answer: unknown = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw apiError(response.status, answer);
  return answer as Answer;
}

export const PAGE_SIZE = 40;

export async function getSession(): Promise<Session> {
  const session = await call<Session>("GET", "/api/session");
  setCsrf(session.csrf);
  return session;
}

export const setup = (token: string, name: string, password: string) =>
  call<SignedIn>("POST", "/api/setup", { token, name, password });
export const signIn = (name: string, password: string) =>
  call<SignedIn>("POST", "/api/session", { name, password });
export const signOut = () => call<null>("DELETE", "/api/session");
export const changePassword = (old: string, password: string) =>
  call<null>("POST", "/api/password", { old, new: password });

export const listUsers = async () => (await call<{ data: User[] }>("GET", "/api/users")).data;
export const createUser = (name: string, password: string, role: Role) =>
  call<User>("POST", "/api/users", { name, password, role });
export const changeUser = (id: string, change: { role?: Role; password?: string; disabled?: boolean }) =>
  call<User>("PATCH", `/api/users/${id}`, change);
export const deleteUser = (id: string) => call<null>("DELETE", `/api/users/${id}`);

export const listKeys = async () => (await call<{ data: Key[] }>("GET", "/api/keys")).data;
export const createKey = (name: string, days: number | null) =>
  call<NewKey>("POST", "/api/keys", { name, ...(days !== null && { expires_in_days: days }) });
export const revokeKey = (id: string) => call<null>("DELETE", `/api/keys/${id}`);

export const listModels = async () => (await call<{ data: Model[] }>("GET", "/api/models")).data;

export const listConversations = (cursor: string | null) =>
  call<ConversationPage>(
    "GET",
    `/api/conversations?${new URLSearchParams({ limit: String(PAGE_SIZE), ...(cursor !== null && { cursor }) })}`,
  );
export const createConversation = (model: string | null) =>
  call<Conversation>("POST", "/api/conversations", { ...(model !== null && { model }) });
export const getConversation = (id: string) =>
  call<ConversationWithMessages>("GET", `/api/conversations/${encodeURIComponent(id)}`);
export const changeConversation = (id: string, change: { title?: string; model?: string }) =>
  call<Conversation>("PATCH", `/api/conversations/${id}`, change);
export const deleteConversation = (id: string) => call<null>("DELETE", `/api/conversations/${id}`);

export const sendMessage = (
  conversation: string,
  message: { parent_id: string | null; content: string; model?: string },
) => call<{ user: Message; answer: Message }>("POST", `/api/conversations/${conversation}/messages`, message);
export const regenerate = (answer: Message, model: string | null) =>
  call<{ answer: Message }>(
    "POST",
    `/api/conversations/${answer.conversation_id}/messages/${answer.id}/regenerate`,
    { ...(model !== null && { model }) },
  );
export const stop = (answer: Message) =>
  call<{ answer: Message }>(
    "POST",
    `/api/conversations/${answer.conversation_id}/messages/${answer.id}/stop`,
  );
