import type { Value } from "../api/annotation";

/** One thing that a schema asks for, where a form can show it. */
export interface Field {
  readonly name: string;
  readonly title: string;
  readonly hint: string;
  readonly kind: "text" | "number" | "integer" | "boolean" | "choice" | "texts";
  /** What there is to choose from. */
  readonly choices: readonly string[];
  readonly required: boolean;
  /** Whether it may be said to be unknown. */
  readonly nullable: boolean;
  /** Whether a text may be empty. */
  readonly filled: boolean;
}

/** What stands in a form: texts as they were typed, so that half a number is not lost. */
export type Entry = string | boolean | readonly string[] | null;
export type Entries = Readonly<Record<string, Entry>>;
export type Problem = "missing" | "number";

type Schema = Record<string, unknown>;

const isSchema = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === "string";
const areTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);

/** The fields of a flat object of texts, numbers, choices and lists of texts; null for what only JSON can show. */
export function fieldsOf(schema: Schema): readonly Field[] | null {
  const { properties, required } = schema;
  if (!isSchema(properties) || schema.$ref !== undefined || schema.allOf || schema.anyOf || schema.oneOf)
    return null;
  const needed = areTexts(required) ? required : [];
  const fields = Object.entries(properties).map(([name, property]) =>
    isSchema(property) ? fieldOf(name, property, needed.includes(name)) : null,
  );
  return fields.length > 0 && fields.every((field) => field !== null) ? fields : null;
}

function fieldOf(name: string, property: Schema, required: boolean): Field | null {
  const { schema, nullable } = withoutNull(property);
  const common = {
    name,
    title: isText(property.title) ? property.title : name,
    hint: isText(property.description) ? property.description : "",
    choices: [],
    required,
    nullable,
    filled: typeof schema.minLength === "number" && schema.minLength > 0,
  };
  if (schema.enum !== undefined) {
    const choices = Array.isArray(schema.enum) ? schema.enum.filter((choice) => choice !== null) : [];
    return areTexts(choices) ? { ...common, kind: "choice", choices } : null;
  }
  switch (schema.type) {
    case "string":
      return { ...common, kind: "text" };
    case "number":
    case "integer":
    case "boolean":
      return { ...common, kind: schema.type };
    case "array": {
      const items = schema.items;
      return isSchema(items) && items.type === "string" && items.enum === undefined
        ? { ...common, kind: "texts" }
        : null;
    }
    default:
      return null;
  }
}

/** A schema that also allows null, as `type: ["string", "null"]` or as one of two, told apart from that null. */
function withoutNull(property: Schema): { schema: Schema; nullable: boolean } {
  const { type, anyOf } = property;
  if (Array.isArray(type) && type.includes("null")) {
    const others = type.filter((one) => one !== "null");
    return { schema: { ...property, type: others.length === 1 ? others[0] : others }, nullable: true };
  }
  if (Array.isArray(anyOf) && anyOf.length === 2) {
    const other = anyOf.find((one) => isSchema(one) && one.type !== "null");
    if (isSchema(other) && anyOf.some((one) => isSchema(one) && one.type === "null"))
      return { schema: other, nullable: true };
  }
  const listed = Array.isArray(property.enum) && property.enum.includes(null);
  return { schema: property, nullable: listed };
}

/** What a form shows of a value; null where the value has something that the form has no place for. */
export function entriesOf(fields: readonly Field[], value: Value | null): Entries | null {
  const known = new Set(fields.map(({ name }) => name));
  if (value !== null && Object.keys(value).some((name) => !known.has(name))) return null;
  const entries: Record<string, Entry> = {};
  for (const { name, kind } of fields) {
    const held = value?.[name];
    if (held === undefined || held === null) entries[name] = kind === "texts" ? [] : null;
    else if (kind === "texts" && areTexts(held)) entries[name] = held;
    else if (kind === "boolean" && typeof held === "boolean") entries[name] = held;
    else if ((kind === "number" || kind === "integer") && typeof held === "number")
      entries[name] = String(held);
    else if ((kind === "text" || kind === "choice") && isText(held)) entries[name] = held;
    else return null;
  }
  return entries;
}

/** The value that a form says, or what is wrong with which field. */
export function saidIn(
  fields: readonly Field[],
  entries: Entries,
): { value: Value } | { problems: Readonly<Record<string, Problem>> } {
  const value: Value = {};
  const problems: Record<string, Problem> = {};
  for (const field of fields) {
    const { name, kind, required, nullable, filled } = field;
    const entry = entries[name] ?? null;
    if (kind === "texts") {
      const items = areTexts(entry) ? entry.map((item) => item.trim()).filter((item) => item !== "") : [];
      if (items.length > 0 || required) value[name] = items;
    } else if (entry === null || entry === "") {
      if (kind === "text" && required && !nullable && !filled) value[name] = "";
      else if (nullable) value[name] = null;
      else if (required) problems[name] = "missing";
    } else if (kind === "number" || kind === "integer") {
      const number = Number(entry);
      if (kind === "integer" ? Number.isInteger(number) : Number.isFinite(number)) value[name] = number;
      else problems[name] = "number";
    } else value[name] = typeof entry === "string" ? entry.trim() : entry;
  }
  return Object.keys(problems).length > 0 ? { problems } : { value };
}

/** The object that a text of JSON says, or why it says none: "object" where it is JSON of another kind. */
export function objectOf(text: string): { value: Value } | { problem: "object" | { json: string } } {
  try {
    const value: unknown = JSON.parse(text);
    return isSchema(value) ? { value } : { problem: "object" };
  } catch (error) {
    return { problem: { json: error instanceof Error ? error.message : "" } };
  }
}
