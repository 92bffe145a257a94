import type { Writable } from 'node:stream';

type Stream = Pick<Writable, 'write' | 'writableLength'>;

const NOTHING = Buffer.alloc(0);

/**
 * Who waits until a stream has given away all that was written to it. The event `drain` tells less: it comes only after
 * more was written than the stream's own mark. So an empty write, whose callback comes behind all others, asks; one at a
 * time, however many wait.
 */
export class Drained {
  readonly #stream: Stream;
  readonly #isOpen: () => boolean;
  #waiting: (() => void)[] = [];
  #asked = false;

  constructor(stream: Stream, isOpen: () => boolean) {
    this.#stream = stream;
    this.#isOpen = isOpen;
  }

  /** Calls back in a later turn, in the order of calls; never once `isOpen` is false. */
  add(callback: () => void): void {
    this.#waiting.push(callback);
    if (!this.#asked) this.#ask();
  }

  #ask(): void {
    this.#asked = true;
    if (this.#stream.writableLength === 0) setImmediate(() => this.#answer(true));
    else this.#stream.write(NOTHING, (error) => this.#answer(!(error instanceof Error)));
  }

  #answer(written: boolean): void {
    this.#asked = false;
    if (!written) this.#waiting = [];
    // The first may write, and the others wait for that again; who waits anew waits for a later turn.
    for (let count = this.#waiting.length; count > 0 && this.#isReady(); count -= 1) this.#waiting.shift()?.();
    if (this.#isOpen() && this.#waiting.length > 0 && !this.#asked) this.#ask();
  }

  #isReady(): boolean {
    return this.#isOpen() && this.#stream.writableLength === 0;
  }
}
