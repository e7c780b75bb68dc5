/** One server-sent event. Source: the WHATWG HTML standard, "9.2.6 Interpreting an event stream". */
export interface ServerEvent {
  readonly event: string;
  readonly data: string;
}

/**
 * Takes an event stream piece by piece, cut anywhere, and gives the events that are complete.
 *
 * Comments (the server's heartbeats), `id` and `retry` are dropped; an event without data is none.
 */
export class EventParser {
  private rest = "";
  private event = "";
  private data: string[] = [];
  private started = false;

  push(piece: string): ServerEvent[] {
    this.rest += piece;
    if (!this.started && this.rest !== "") {
      this.started = true;
      if (this.rest.startsWith("\uFEFF")) this.rest = this.rest.slice(1);
    }
    const events: ServerEvent[] = [];
    for (;;) {
      const end = this.rest.search(/[\r\n]/);
      if (end < 0) break;
      const carriage = this.rest[end] === "\r";
      if (carriage && end === this.rest.length - 1) break; // its \n may come with the next piece
      const line = this.rest.slice(0, end);
      this.rest = this.rest.slice(end + (carriage && this.rest[end + 1] === "\n" ? 2 : 1));
      if (line === "") this.dispatch(events);
      else this.field(line);
    }
    return events;
  }

  private field(line: string): void {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.event = value;
    else if (name === "data") this.data.push(value);
  }

  private dispatch(events: ServerEvent[]): void {
    if (this.data.length > 0) events.push({ event: this.event || "message", data: this.data.join("\n") });
    this.event = "";
    this.data = [];
  }
}
