/** What became of standard output and error: a command is not ended by whoever reads them, but says that it was not heard. */
export class StandardStreams {
  #failure: NodeJS.ErrnoException | undefined;

  /** From here on their failures are no exceptions. */
  constructor() {
    process.stdout.on('error', this.#onOutputError);
    process.stderr.on('error', ignore);
  }

  /** Waits until standard output is written. @returns why a part of it is nowhere; undefined when all is written. */
  async settled(): Promise<NodeJS.ErrnoException | undefined> {
    // An error of a write is told after it; an empty write would fail where nothing was to be said.
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (this.#failure === undefined && process.stdout.writableLength > 0)
      await new Promise<void>((resolve) => process.stdout.write('', () => setImmediate(resolve)));
    process.stdout.off('error', this.#onOutputError);
    process.stderr.off('error', ignore);
    return this.#failure;
  }

  #onOutputError = (error: NodeJS.ErrnoException): void => {
    this.#failure ??= error;
  };
}

/** There is nowhere left to say it. */
function ignore(): void {}
