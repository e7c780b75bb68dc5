/** The console API's shapes (generation from the OpenAPI document follows). */
export type Role = "admin" | "member";
export interface User {
  id: string;
  name: string;
  role: Role;
  disabled: boolean;
  created_at: string;
}
export interface Session {
  user: User | null;
  setup_needed: boolean;
  csrf: string | null;
  version: string;
}
export interface SignedIn {
  user: User;
  csrf: string;
}
export interface Model {
  id: string;
  title: string;
  description: string;
  context_length: number;
  state: "ready" | "loading" | "idle" | "failed";
  reason: string | null;
  default: boolean;
  licence: string;
  languages: string[];
}
export interface Conversation {
  id: string;
  title: string;
  model: string | null;
  created_at: string;
  updated_at: string;
}
export interface ConversationPage {
  data: Conversation[];
  next: string | null;
}
export interface ConversationWithMessages extends Conversation {
  messages: Message[];
}
export type MessageStatus = "complete" | "generating" | "stopped" | "failed" | "interrupted";
export interface Usage {
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  first_token_ms: number | null;
  duration_ms: number | null;
  tokens_per_second: number | null;
}
export interface Message {
  id: string;
  conversation_id: string;
  parent_id: string | null;
  role: "user" | "assistant" | "system";
  content: string;
  status: MessageStatus;
  error: { message: string; code: string | null } | null;
  model: string | null;
  version: string | null;
  finish_reason: string | null;
  usage: Usage | null;
  created_at: string;
}
export interface Key {
  id: string;
  name: string;
  prefix: string;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
}
export interface NewKey extends Key {
  key: string;
}
