import type { Command } from '../../src/session/machine.js';
import type { StreamState } from '../../src/session/message-ports.js';
import type { OwnershipStore, SessionLock, SessionView } from '../../src/session/ports.js';
import { type Act, commandOf, type Progress } from './commands.js';
import { LONG_MS } from './harness.js';

/** Nothing but the leases of one millisecond may end within a sequence. */
export const PLAYER_TIMINGS = { attemptWindowMs: LONG_MS, handoverPatienceMs: LONG_MS };

/** Epochs and times differ between two stores; how they relate within one must not. */
class Relations {
  readonly #ranks = new Map<number, number>([[0, 0]]);
  #streamEpoch: string | undefined;

  view({ epoch, deadlineMs, nowMs, ...rest }: SessionView): object {
    if (!this.#ranks.has(epoch)) this.#ranks.set(epoch, this.#ranks.size);
    const rises = epoch === Math.max(...this.#ranks.keys());
    return {
      ...rest,
      epoch: this.#ranks.get(epoch),
      rises,
      left: deadlineMs === 0 ? 'none' : left(deadlineMs - nowMs),
    };
  }

  stream({ epoch, ...rest }: StreamState): object {
    this.#streamEpoch ??= epoch;
    return { ...rest, stays: epoch === this.#streamEpoch };
  }
}

function left(ms: number): string {
  if (ms > LONG_MS / 2) return 'long';
  if (ms > LONG_MS / 30) return 'busy';
  return ms > 0 ? 'short' : 'over';
}

interface Played {
  ownership: OwnershipStore;
  lock: SessionLock;
  wait(ms: number): Promise<void>;
}

/** Performs acts on one session of one store. */
export class OwnershipPlayer {
  readonly sessionId: string;
  readonly relations = new Relations();
  readonly #on: Played;
  readonly #progress: Progress;
  #isShort = false;

  constructor(on: Played, sessionId: string) {
    this.#on = on;
    this.sessionId = sessionId;
    this.#progress = { sessionId, epoch: 0, connectionId: '', granted: [], last: undefined };
  }

  /** @returns everything that an application could see of the act, which may turn out to be none */
  async play(act: Act, n: number): Promise<unknown[]> {
    const { lock, wait } = this.#on;
    const command = commandOf(act, n, this.#progress);
    if (command === undefined) return [];
    const perform = () => this.#perform(command);
    const outcome = act.locked ? await lock.withLock(this.sessionId, 1_000, perform) : await perform();
    if (act.verb !== 'repeat') this.#isShort = act.short;
    if (this.#isShort) await wait(3);
    const view = await this.peek();
    this.#progress.epoch = view.epoch;
    this.#progress.connectionId = view.connectionId;
    this.#progress.last = command;
    return [outcome, this.relations.view(view)];
  }

  async peek(): Promise<SessionView> {
    const [view] = await this.#on.ownership.peek([this.sessionId]);
    if (view === undefined) throw new Error('peek answers for each session');
    return view;
  }

  async #perform(command: Command): Promise<unknown> {
    const { ownership } = this.#on;
    const { granted } = this.#progress;
    switch (command.verb) {
      case 'claim':
      case 'reclaim': {
        const outcome =
          command.verb === 'claim' ? await ownership.claim(command.request) : await ownership.reclaim(command.request);
        const { view, stream, retryAfterMs, tokenHash, ...rest } = outcome;
        const token = rest.result === 'owned' ? tokenHash : '';
        if (token !== '' && !granted.includes(token)) granted.push(token);
        const waits = retryAfterMs > 0;
        return { ...rest, token, waits, view: this.relations.view(view), stream: this.relations.stream(stream) };
      }
      case 'renew':
        return ownership.renew([command.lease], command.leaseMs);
      case 'hold':
        return ownership.hold([command.lease], command.holdMs);
      case 'release':
        return ownership.release(command.request);
      case 'transfer': {
        const { result, view } = await ownership.transfer(command.request);
        if (result === 'done' && command.request.target !== undefined) granted.push(command.request.target.tokenHash);
        return { result, view: this.relations.view(view) };
      }
    }
  }
}
