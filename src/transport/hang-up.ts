/** Clients that are gone without a closing handshake. */
import type { Socket } from 'node:net';
import type { TurnQueue } from '../lib/turn-queue.js';

type EndListener = (this: Socket) => void;

/** How long a peer that hung up may take nothing of what is left for it. */
const STALLED_MS = 5_000;

/** What `ws` calls the listener with which it ends its own side, too. */
const WS_LISTENER = 'socketOnEnd';

/**
 * Thousands may hang up at once, and the event loop tells of all of them within one turn.
 * @returns what makes a stream, once `ws` has it, end in slices over several turns
 */
export function hangUps(departures: Pick<TurnQueue, 'add'>): (stream: Socket) => void {
  // One for all sockets.
  let endOrderly: EndListener | undefined;

  function onEnd(this: Socket): void {
    departures.add(() => {
      // With nothing left to write, the steps of an orderly end would only cost more than all else of the close.
      if (this.writableLength === 0) {
        this.destroy();
        return;
      }
      this.setTimeout(STALLED_MS, () => this.destroy());
      endOrderly?.call(this);
    });
  }

  return (stream) => {
    const listener = stream.listeners('end').find(({ name }) => name === WS_LISTENER) as EndListener | undefined;
    if (listener === undefined) return;
    endOrderly = listener;
    stream.off('end', listener);
    stream.on('end', onEnd);
  };
}
