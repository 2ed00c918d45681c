/** One line that says how a task is doing. Rewritten in place on a terminal; elsewhere a line for each change, so that a log stays short. */
export class ProgressLine {
  static readonly #FRAMES = [..."⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"];
  static readonly #FRAME_MS = 100;

  readonly #out: NodeJS.WriteStream;
  readonly #startedAt = Date.now();
  #timer: NodeJS.Timeout | null;
  #text = "";
  #frame = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    this.#timer = out.isTTY ? setInterval(() => this.#draw(), ProgressLine.#FRAME_MS) : null;
  }

  /** A share of the whole, in percent: exact where the line is rewritten, else in tens. */
  percent(exact: number): string {
    return `${this.#timer === null ? Math.floor(exact / 10) * 10 : exact} %`;
  }

  show(text: string): void {
    const changed = text !== this.#text;
    this.#text = text;
    if (this.#timer !== null) this.#draw();
    else if (changed) this.#out.write(`${text} (${this.#seconds()} s)\n`);
  }

  /** Leaves the terminal's line empty for what is printed next. */
  end(): void {
    if (this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
    this.#clear();
  }

  #draw(): void {
    const frame = ProgressLine.#FRAMES[this.#frame++ % ProgressLine.#FRAMES.length];
    this.#clear();
    this.#out.write(`${frame} ${this.#text} ${this.#seconds()} s`.slice(0, this.#out.columns - 1)); // a wrapped line cannot be rewritten
  }

  #clear(): void {
    this.#out.cursorTo(0);
    this.#out.clearLine(0);
  }

  #seconds(): number {
    return Math.floor((Date.now() - this.#startedAt) / 1000);
  }
}
