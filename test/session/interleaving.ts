import { vi } from 'vitest';
import { HoldfastError } from '../../src/protocol/errors.js';
import type { ClaimRequest, OwnershipStore } from '../../src/session/ports.js';
import { MemoryBus } from '../../src/store/memory/bus.js';
import { quietSessions } from '../support/silent.js';
import { type FakeSubscriber, startDomain } from './domain-harness.js';

export const SID = 'doc:1';

/** A domain whose bus tells of a gap when the test says so, which makes it compare itself with the store. */
export function startWatched(options: Parameters<typeof startDomain>[0] = {}) {
  const onEvent = vi.spyOn(MemoryBus.prototype, 'onEvent');
  const onGap = vi.spyOn(MemoryBus.prototype, 'onGap');
  const domain = startDomain(options);
  const [hear] = onEvent.mock.lastCall ?? [];
  const [gap] = onGap.mock.lastCall ?? [];
  vi.restoreAllMocks();
  if (hear === undefined || gap === undefined) throw new Error('the domain does not listen to its bus');
  const { sessions } = domain;
  return {
    ...domain,
    hear,
    gap,
    subscribe: (who: FakeSubscriber, extra: object = {}) => sessions.subscribe(who, { session_id: SID, ...extra }, 'r'),
    drop: async (who: FakeSubscriber) => {
      who.open = false;
      await sessions.closed(who, { release: false });
    },
    /** How many sessions this node knows and how many leases it renews. */
    load: () => {
      const counts = vi.spyOn(quietSessions, 'counts');
      sessions.report();
      const [known, leases] = counts.mock.lastCall ?? [];
      counts.mockRestore();
      return { ...known, leases };
    },
  };
}

export type Watched = ReturnType<typeof startWatched>;

/** The code of the error that a request is refused with, or `ok`. */
export const codeOf = (request: Promise<unknown>): Promise<string | undefined> =>
  request.then(
    () => 'ok',
    (error: { code?: string }) => error.code,
  );

export const isHandover = (asked: unknown): boolean => (asked as ClaimRequest).mode === 'handover';

type Ask = (asked: unknown) => Promise<unknown>;
type Verb = 'claim' | 'reclaim' | 'release' | 'transfer' | 'peek';

/** Lets `answer` stand in for the store at the next call of one verb that matches. */
function onNext(store: OwnershipStore, verb: Verb, matches: (asked: unknown) => boolean, answer: (call: Ask) => Ask) {
  const verbs = store as unknown as Record<Verb, Ask>;
  const original: Ask = verbs[verb].bind(store);
  verbs[verb] = (asked) => {
    if (!matches(asked)) return original(asked);
    verbs[verb] = original;
    return answer(original)(asked);
  };
}

function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

/** Between a call and its effect, or between its effect and its reply. */
export interface Pause {
  reached: Promise<void>;
  /** Lets the call go on. */
  go: () => void;
}

/** Keeps back the reply of the next call, which takes effect: whatever is published meanwhile comes before it. */
export function holdReply(store: OwnershipStore, verb: Verb, matches: (asked: unknown) => boolean = () => true): Pause {
  const [effect, reply] = [gate(), gate()];
  onNext(store, verb, matches, (call) => async (asked) => {
    const answer = await call(asked);
    effect.open();
    await reply.opened;
    return answer;
  });
  return { reached: effect.opened, go: reply.open };
}

/** Keeps back the next call, which takes effect late. */
export function holdCall(store: OwnershipStore, verb: Verb, matches: (asked: unknown) => boolean = () => true): Pause {
  const [asking, effect] = [gate(), gate()];
  onNext(store, verb, matches, (call) => async (asked) => {
    asking.open();
    await effect.opened;
    return call(asked);
  });
  return { reached: asking.opened, go: effect.open };
}

/** The next call takes effect and its reply is lost. */
export function loseReply(store: OwnershipStore, verb: Verb, matches: (asked: unknown) => boolean = () => true): void {
  onNext(store, verb, matches, (call) => async (asked) => {
    await call(asked);
    throw new HoldfastError('store_unavailable', 'the reply was lost');
  });
}

/** The next call fails, and does so once the caller lets it. It never takes effect. */
export function failCall(store: OwnershipStore, verb: Verb): Pause {
  const [asking, failing] = [gate(), gate()];
  onNext(
    store,
    verb,
    () => true,
    () => async () => {
      asking.open();
      await failing.opened;
      throw new HoldfastError('store_unavailable', 'the store is away');
    },
  );
  return { reached: asking.opened, go: failing.open };
}
