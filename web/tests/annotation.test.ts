import { describe, expect, it } from "vitest";
import { percentOf } from "../src/annotation/counts";
import { entriesOf, type Field, fieldsOf, objectOf, saidIn } from "../src/annotation/schema";

const SCHEMA = {
  type: "object",
  required: ["party", "amount", "kind", "duties", "signed", "note"],
  properties: {
    party: { type: "string", title: "Party", description: "In full", minLength: 1 },
    amount: { type: ["number", "null"] },
    kind: { enum: ["sale", "lease"] },
    duties: { type: "array", items: { type: "string" } },
    signed: { type: "boolean" },
    note: { type: "string" },
    until: { anyOf: [{ type: "string" }, { type: "null" }] },
    pages: { type: "integer" },
  },
};

const fields = (schema: object = SCHEMA): readonly Field[] => {
  const found = fieldsOf(schema as Record<string, unknown>);
  if (found === null) throw new Error("no form for it");
  return found;
};

describe("a schema", () => {
  it("becomes the fields of a form where it is flat", () => {
    expect(fields().map(({ name, kind, required, nullable }) => [name, kind, required, nullable])).toEqual([
      ["party", "text", true, false],
      ["amount", "number", true, true],
      ["kind", "choice", true, false],
      ["duties", "texts", true, false],
      ["signed", "boolean", true, false],
      ["note", "text", true, false],
      ["until", "text", false, true],
      ["pages", "integer", false, false],
    ]);
    expect(fields()[0]).toMatchObject({ title: "Party", hint: "In full", filled: true });
  });

  it.each([
    ["an object within", { a: { type: "object", properties: {} } }],
    ["a list of objects", { a: { type: "array", items: { type: "object" } } }],
    ["a list of choices", { a: { type: "array", items: { type: "string", enum: ["x"] } } }],
    ["choices that are no texts", { a: { enum: [1, 2] } }],
    ["several types", { a: { type: ["string", "number"] } }],
    ["a reference", { a: { $ref: "#/$defs/a" } }],
    ["anything", { a: true }],
    ["nothing", {}],
  ])("is left to JSON where it has %s", (_, properties) => {
    expect(fieldsOf({ type: "object", properties })).toBeNull();
  });

  it("is left to JSON where it is put together of others", () => {
    expect(fieldsOf({ ...SCHEMA, allOf: [{}] })).toBeNull();
    expect(fieldsOf({})).toBeNull();
  });
});

describe("a form", () => {
  const value = {
    party: "Acme",
    amount: 12.5,
    kind: "sale",
    duties: ["deliver", "pay"],
    signed: false,
    note: "",
    until: null,
    pages: 3,
  };

  it("says the value that it was filled with", () => {
    const entries = entriesOf(fields(), value);
    expect(entries).toMatchObject({ amount: "12.5", pages: "3" });
    expect(entries && saidIn(fields(), entries)).toEqual({ value });
  });

  it("shows no value that it has no place for", () => {
    expect(entriesOf(fields(), { ...value, other: 1 })).toBeNull();
    expect(entriesOf(fields(), { ...value, party: 7 })).toBeNull();
    expect(entriesOf(fields(), { ...value, duties: [1] })).toBeNull();
  });

  it("is not whole while something required is missing; what may be unknown is null, what may be empty is", () => {
    const entries = entriesOf(fields(), null);
    expect(entries && saidIn(fields(), entries)).toEqual({
      problems: { party: "missing", kind: "missing", signed: "missing" },
    });
    const filled = { ...entries, party: " Acme ", kind: "lease", signed: true };
    expect(saidIn(fields(), filled)).toEqual({
      value: { party: "Acme", amount: null, kind: "lease", duties: [], signed: true, note: "", until: null },
    });
  });

  it("says what is no number", () => {
    const entries = { ...entriesOf(fields(), value), amount: "12,5", pages: "1.5" };
    expect(saidIn(fields(), entries)).toEqual({ problems: { amount: "number", pages: "number" } });
  });

  it("drops empty texts of a list", () => {
    const entries = { ...entriesOf(fields(), value), duties: ["pay", " ", ""] };
    expect(saidIn(fields(), entries)).toMatchObject({ value: { duties: ["pay"] } });
  });
});

describe("JSON", () => {
  it("is an object, or says why it is none", () => {
    expect(objectOf('{"a": [1]}')).toEqual({ value: { a: [1] } });
    expect(objectOf("[1]")).toEqual({ problem: "object" });
    expect(objectOf("null")).toEqual({ problem: "object" });
    expect(objectOf('{"a": }')).toMatchObject({ problem: { json: expect.stringContaining("JSON") } });
  });
});

describe("progress", () => {
  const counts = { waiting: 0, passed: 0, queued: 0, done: 0, disputed: 0 };
  it("is whole percent, and 100 only at the end", () => {
    expect(percentOf(counts)).toBe(0);
    expect(percentOf({ ...counts, passed: 990, done: 9, queued: 1 })).toBe(99);
    expect(percentOf({ ...counts, passed: 990, done: 10 })).toBe(100);
  });
});
