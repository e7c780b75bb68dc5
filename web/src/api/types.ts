import type { components } from "./schema";

/** The server's shapes, by the names that its OpenAPI document gives them. */
type Schemas = components["schemas"];

export type Annotation = Schemas["Annotation"];
export type AssistantInfo = Schemas["AssistantInfo"];
export type Conversation = Schemas["Conversation"];
export type ConversationPage = Schemas["ConversationPage"];
export type ConversationWithMessages = Schemas["WholeConversation"];
export type DocumentBlock = Schemas["DocumentBlock"];
export type DocumentInfo = Schemas["DocumentInfo"];
export type Done = Schemas["Done"];
export type Key = Schemas["Key"];
export type Library = Schemas["LibraryInfo"];
export type LibraryChanges = Schemas["LibraryChanges"];
export type Message = Schemas["Message"];
export type MessageStatus = Message["status"];
export type Model = Schemas["ModelInfo"];
export type NewKey = Schemas["CreatedKey"];
export type NewLibrary = Schemas["NewLibraryBody"];
export type Pack = Schemas["PackInfo"];
export type Question = Schemas["Question"];
export type Role = User["role"];
export type SearchHit = Schemas["SearchHit"];
export type SearchResult = Schemas["SearchResult"];
export type Session = Schemas["SessionState"];
export type Snapshot = Schemas["Snapshot"];
export type TextDelta = Schemas["TextDelta"];
export type ToolUse = Schemas["ToolUse"];
export type Usage = Schemas["Usage"];
export type User = Schemas["User"];
export type UserChanges = Schemas["UserChanges"];
