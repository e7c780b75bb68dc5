import { describe, expect, it } from "vitest";
import { EventParser } from "../src/api/sse";

const STREAM =
  '\uFEFF: ping\n\nevent: snapshot\r\ndata: {"content":"日"}\r\n\r\nid: 7\ndata: one\ndata:two\n\nevent: empty\n\nevent: done\rdata: {}\r\r';
const EVENTS = [
  { event: "snapshot", data: '{"content":"日"}' },
  { event: "message", data: "one\ntwo" },
  { event: "done", data: "{}" },
];

describe("the event stream parser", () => {
  it("reads events with any line ending, and drops comments, ids and events without data", () => {
    // The last \r could be half of a \r\n, so it waits for what follows.
    expect(new EventParser().push(`${STREAM}\n`)).toEqual(EVENTS);
  });

  it("gives the same events wherever the stream is cut", () => {
    const whole = `${STREAM}\n`;
    for (let first = 0; first <= whole.length; first++) {
      for (let second = first; second <= whole.length; second += 7) {
        const parser = new EventParser();
        const pieces = [whole.slice(0, first), whole.slice(first, second), whole.slice(second)];
        expect(pieces.flatMap((piece) => parser.push(piece))).toEqual(EVENTS);
      }
    }
  });

  it("holds an event back until its empty line comes", () => {
    const parser = new EventParser();
    expect(parser.push("data: half\n")).toEqual([]);
    expect(parser.push("\n")).toEqual([{ event: "message", data: "half" }]);
  });
});
