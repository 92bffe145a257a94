import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareOwnership,
  IDLE,
  isSubscribed,
  type Ownership,
  type SessionState,
  type StateEvent,
  type StateEventName,
  type StateName,
  transition,
} from '../../src/client/session-state.js';

const ownership: Ownership = { state: 'owned', ownerEpoch: 5, rev: 2, graceMs: 30_000 };
const newer: Ownership = { ...ownership, rev: 3 };

const STATES: { [S in StateName]: SessionState } = {
  idle: IDLE,
  connecting: { name: 'connecting' },
  watching: { name: 'watching', ownership },
  held_by_other: { name: 'held_by_other', ownership: { ...ownership, state: 'held' } },
  owner: { name: 'owner', ownership },
  unconfirmed: { name: 'unconfirmed', ownership },
  reconnecting: { name: 'reconnecting', wasOwner: true, ownership },
  stopped: { name: 'stopped', reason: 'closed' },
};

const EVENTS: { [E in StateEventName]: StateEvent } = {
  connect: { type: 'connect' },
  snapshot: { type: 'snapshot', owner: true, ownership: newer },
  change: { type: 'change', owner: false, ownership: { ...newer, state: 'held' }, reset: false },
  lost: { type: 'lost', reason: 'forced', ownerEpoch: 6 },
  released: { type: 'released', ownerEpoch: 5 },
  disconnect: { type: 'disconnect' },
  stop: { type: 'stop', reason: 'unsubscribed' },
};

/** The state that each event of EVENTS leads to; `=` where nothing happens. */
const EXPECTED: { [S in StateName]: { [E in StateEventName]: StateName | '=' } } = {
  idle: {
    connect: 'connecting',
    snapshot: '=',
    change: '=',
    lost: '=',
    released: '=',
    disconnect: '=',
    stop: 'stopped',
  },
  connecting: {
    connect: '=',
    snapshot: 'owner',
    change: '=',
    lost: '=',
    released: '=',
    disconnect: '=',
    stop: 'stopped',
  },
  watching: {
    connect: '=',
    snapshot: 'owner',
    change: 'held_by_other',
    lost: '=',
    released: '=',
    disconnect: 'reconnecting',
    stop: 'stopped',
  },
  held_by_other: {
    connect: '=',
    snapshot: 'owner',
    change: 'held_by_other',
    lost: '=',
    released: '=',
    disconnect: 'reconnecting',
    stop: 'stopped',
  },
  owner: {
    connect: '=',
    snapshot: 'owner',
    change: 'held_by_other',
    lost: 'watching',
    released: 'watching',
    disconnect: 'reconnecting',
    stop: 'stopped',
  },
  unconfirmed: {
    connect: '=',
    snapshot: 'owner',
    change: 'held_by_other',
    lost: 'watching',
    released: 'watching',
    disconnect: 'reconnecting',
    stop: 'stopped',
  },
  reconnecting: {
    connect: '=',
    snapshot: 'owner',
    change: '=',
    lost: '=',
    released: '=',
    disconnect: '=',
    stop: 'stopped',
  },
  stopped: { connect: '=', snapshot: '=', change: '=', lost: '=', released: '=', disconnect: '=', stop: '=' },
};

describe('the session state machine', () => {
  for (const [name, row] of Object.entries(EXPECTED) as [StateName, (typeof EXPECTED)[StateName]][]) {
    for (const [type, expected] of Object.entries(row) as [StateEventName, StateName | '='][]) {
      it(`${name} + ${type} ${expected === '=' ? 'changes nothing' : `→ ${expected}`}`, () => {
        const before = STATES[name];
        const after = transition(before, EVENTS[type]);
        if (expected === '=') expect(after).toBe(before);
        else expect(after.name).toBe(expected);
      });
    }
  }

  it('keeps an owner whose lease is unconfirmed, and confirms it at the same epoch and rev', () => {
    const unconfirmed = transition(STATES.owner, { type: 'lost', reason: 'lease_unconfirmed', ownerEpoch: 5 });
    expect(unconfirmed.name).toBe('unconfirmed');
    expect(transition(unconfirmed, { type: 'change', owner: true, ownership, reset: false }).name).toBe('owner');
  });

  it('ignores the loss and the release of an earlier epoch', () => {
    expect(transition(STATES.owner, { type: 'lost', reason: 'reclaimed', ownerEpoch: 4 })).toBe(STATES.owner);
    expect(transition(STATES.owner, { type: 'released', ownerEpoch: 4 })).toBe(STATES.owner);
  });

  it('takes an older epoch from a store that lost the record', () => {
    const empty: Ownership = { state: 'free', ownerEpoch: 0, rev: 0, graceMs: 30_000 };
    expect(transition(STATES.watching, { type: 'change', owner: false, ownership: empty, reset: false })).toBe(
      STATES.watching,
    );
    expect(transition(STATES.watching, { type: 'change', owner: false, ownership: empty, reset: true })).toMatchObject({
      ownership: empty,
    });
  });

  it('tells after a disconnect whether it was the owner', () => {
    expect(transition(STATES.owner, EVENTS.disconnect)).toMatchObject({ wasOwner: true });
    expect(transition(STATES.unconfirmed, EVENTS.disconnect)).toMatchObject({ wasOwner: true });
    expect(transition(STATES.watching, EVENTS.disconnect)).toMatchObject({ wasOwner: false });
  });
});

const anyOwnership: fc.Arbitrary<Ownership> = fc.record({
  state: fc.constantFrom('free', 'owned', 'held'),
  ownerEpoch: fc.nat(6),
  rev: fc.nat(6),
  graceMs: fc.constant(30_000),
});
const anyEvent: fc.Arbitrary<StateEvent> = fc.oneof(
  fc.constant<StateEvent>({ type: 'connect' }),
  fc.constant<StateEvent>({ type: 'disconnect' }),
  fc.record({ type: fc.constant('released' as const), ownerEpoch: fc.nat(6) }),
  fc.record({ type: fc.constant('snapshot' as const), owner: fc.boolean(), ownership: anyOwnership }),
  fc.record({
    type: fc.constant('change' as const),
    owner: fc.boolean(),
    ownership: anyOwnership,
    reset: fc.boolean(),
  }),
  fc.record({
    type: fc.constant('lost' as const),
    reason: fc.constantFrom('reclaimed', 'forced', 'removed', 'expired', 'lost', 'resynced', 'lease_unconfirmed'),
    ownerEpoch: fc.nat(6),
  }),
  { weight: 1, arbitrary: fc.constant<StateEvent>({ type: 'stop', reason: 'closed' }) },
);

describe('any run of the state machine', () => {
  const eachStep = (check: (before: SessionState, event: StateEvent, after: SessionState) => void) =>
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 40 }), (events) => {
        let state = IDLE;
        for (const event of events) {
          const frozen = Object.freeze(state);
          const after = transition(frozen, event);
          check(frozen, event, after);
          state = after;
        }
      }),
      { numRuns: 2_000 },
    );

  it('becomes the owner only by word of the gateway', () => {
    eachStep((before, event, after) => {
      if (after.name !== 'owner' || before.name === 'owner') return;
      expect((event.type === 'snapshot' || event.type === 'change') && event.owner).toBe(true);
    });
  });

  it('never goes back in (epoch, rev) while subscribed, but for snapshots and lost records', () => {
    eachStep((before, event, after) => {
      if (!isSubscribed(before) || !isSubscribed(after)) return;
      if (event.type === 'snapshot' || (event.type === 'change' && event.reset)) return;
      expect(compareOwnership(after.ownership, before.ownership)).toBeGreaterThanOrEqual(0);
    });
  });

  it('is subscribed only after a snapshot on this connection', () => {
    eachStep((before, event, after) => {
      if (!isSubscribed(before) && isSubscribed(after)) expect(event.type).toBe('snapshot');
      if (event.type === 'disconnect') expect(isSubscribed(after)).toBe(false);
    });
  });

  it('never leaves `stopped`', () => {
    eachStep((before, _event, after) => {
      if (before.name === 'stopped') expect(after).toBe(before);
    });
  });
});
