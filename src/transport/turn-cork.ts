import type { Writable } from 'node:stream';

type Stream = Pick<Writable, 'cork' | 'uncork' | 'writableCorked'>;

/**
 * Holds back what is written to a stream until the end of the event loop's turn, so that all of a turn goes out in one
 * system call. One callback ends it for all streams.
 */
export class TurnCork {
  #corked: Stream[] = [];

  cork(stream: Stream): void {
    if (stream.writableCorked > 0) return;
    stream.cork();
    if (this.#corked.push(stream) === 1) setImmediate(() => this.#uncork());
  }

  #uncork(): void {
    const corked = this.#corked;
    this.#corked = [];
    for (const stream of corked) stream.uncork();
  }
}
