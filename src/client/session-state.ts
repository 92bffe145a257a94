/**
 * A session as its client knows it: an immutable state machine. State and event in, state out; an event that means
 * nothing in a state gives back the very same object.
 */
import type { ErrorCode } from '../protocol/error-codes.js';
import type { ClaimAck, OwnershipLostReason, OwnershipState } from '../protocol/messages.js';

/** What the gateway last said of a session. Ordered by (`ownerEpoch`, `rev`). */
export interface Ownership {
  readonly state: OwnershipState;
  /** 0 while the session was never owned. */
  readonly ownerEpoch: number;
  readonly rev: number;
  readonly graceMs: number;
  /** While held: the end of the grace period, ms since 1970 by the gateway's clock. */
  readonly until?: number;
  /** The owner's principal, where the gateway shows it. */
  readonly principal?: string;
}

/**
 * `gateway`: it closed the connection for good. `refused`: it refused the subscription. `removed`: the application
 * ended it. `forbidden`: the principal may no longer watch it.
 */
export type StopReason = 'unsubscribed' | 'closed' | 'gateway' | 'refused' | 'removed' | 'forbidden';

export interface SessionStates {
  /** Not asked for yet. */
  idle: { readonly name: 'idle' };
  /** Never subscribed so far. */
  connecting: { readonly name: 'connecting' };
  /** Subscribed; nobody owns the session, or another does. */
  watching: { readonly name: 'watching'; readonly ownership: Ownership };
  /** Subscribed; the session is kept for an owner that lost its connection. */
  held_by_other: { readonly name: 'held_by_other'; readonly ownership: Ownership };
  owner: { readonly name: 'owner'; readonly ownership: Ownership };
  /** Still the owner, but the node cannot be sure of the lease at the moment and refuses what only an owner may do. */
  unconfirmed: { readonly name: 'unconfirmed'; readonly ownership: Ownership };
  /** The connection is lost; `ownership` is what was known before. */
  reconnecting: { readonly name: 'reconnecting'; readonly wasOwner: boolean; readonly ownership: Ownership };
  /** For good. */
  stopped: { readonly name: 'stopped'; readonly reason: StopReason; readonly code?: ErrorCode };
}

export type StateName = keyof SessionStates;
export type SessionState = SessionStates[StateName];

export interface StateEvents {
  connect: { readonly type: 'connect' };
  /** The answer to `subscribe`: true whatever was known before. */
  snapshot: { readonly type: 'snapshot'; readonly owner: boolean; readonly ownership: Ownership };
  /** A change, or the answer to `claim`. Older ones than what is known are dropped, unless the store lost the record. */
  change: { readonly type: 'change'; readonly owner: boolean; readonly ownership: Ownership; readonly reset: boolean };
  lost: { readonly type: 'lost'; readonly reason: OwnershipLostReason; readonly ownerEpoch: number };
  /** The answer to `release`. `ownerEpoch`: what was released. */
  released: { readonly type: 'released'; readonly ownerEpoch: number };
  disconnect: { readonly type: 'disconnect' };
  stop: { readonly type: 'stop'; readonly reason: StopReason; readonly code?: ErrorCode };
}

export type StateEventName = keyof StateEvents;
export type StateEvent = StateEvents[StateEventName];

type Handler<S extends StateName, E extends StateEventName> = (
  state: SessionStates[S],
  event: StateEvents[E],
) => SessionState;

type TransitionTable = {
  readonly [S in StateName]: { readonly [E in StateEventName]: Handler<S, E> };
};

type Subscribed = SessionStates['watching' | 'held_by_other' | 'owner' | 'unconfirmed'];

export const IDLE: SessionState = Object.freeze({ name: 'idle' });

/** True while the gateway counts this connection as a subscriber of the session. */
export function isSubscribed(state: SessionState): state is Subscribed {
  const { name } = state;
  return name === 'watching' || name === 'held_by_other' || name === 'owner' || name === 'unconfirmed';
}

/** Negative, 0 or positive, as `a` is older than, the same as or newer than `b`. */
export function compareOwnership(a: Ownership, b: Ownership): number {
  return a.ownerEpoch - b.ownerEpoch || a.rev - b.rev;
}

/** The ownership that an acknowledgement or event tells. */
export function ownershipOf(message: Omit<ClaimAck, 'type' | 'owner'>): Ownership {
  const { state, owner_epoch: ownerEpoch, rev, grace_ms: graceMs, until, principal } = message;
  return {
    state,
    ownerEpoch,
    rev,
    graceMs,
    ...(until !== undefined && { until }),
    ...(principal !== undefined && { principal }),
  };
}

function settled(owner: boolean, ownership: Ownership): SessionState {
  if (owner) return { name: 'owner', ownership };
  return { name: ownership.state === 'held' ? 'held_by_other' : 'watching', ownership };
}

/** The reasons after which another owns the session. After the others, also ones not known here, nobody does. */
const TO_ANOTHER: ReadonlySet<OwnershipLostReason> = new Set<OwnershipLostReason>([
  'reclaimed',
  'forced',
  'transferred',
]);

const stay = <S extends SessionState>(state: S): S => state;
const begin = (): SessionState => ({ name: 'connecting' });
const onSnapshot = (_state: SessionState, { owner, ownership }: StateEvents['snapshot']) => settled(owner, ownership);

const onChange = (state: Subscribed, { owner, ownership, reset }: StateEvents['change']): SessionState =>
  !reset && compareOwnership(ownership, state.ownership) < 0 ? state : settled(owner, ownership);

const notOurs = ({ ownership }: Subscribed, state: OwnershipState): SessionState => {
  const { until: _until, principal: _principal, ...rest } = ownership;
  return { name: 'watching', ownership: { ...rest, state } };
};

const onLost = (state: Subscribed, { reason, ownerEpoch }: StateEvents['lost']): SessionState => {
  if (ownerEpoch < state.ownership.ownerEpoch) return state;
  if (reason === 'lease_unconfirmed') return { name: 'unconfirmed', ownership: state.ownership };
  // The event that says who has it follows; until then this is what the reason tells.
  return notOurs(state, TO_ANOTHER.has(reason) ? 'owned' : 'free');
};

const onReleased = (state: Subscribed, { ownerEpoch }: StateEvents['released']): SessionState => {
  return ownerEpoch < state.ownership.ownerEpoch ? state : notOurs(state, 'free');
};

const onDisconnect = ({ name, ownership }: Subscribed): SessionState => ({
  name: 'reconnecting',
  wasOwner: name === 'owner' || name === 'unconfirmed',
  ownership,
});

const onStop = (_state: SessionState, { reason, code }: StateEvents['stop']): SessionState => ({
  name: 'stopped',
  reason,
  ...(code !== undefined && { code }),
});

const watcher = {
  connect: stay,
  snapshot: onSnapshot,
  change: onChange,
  lost: stay,
  released: stay,
  disconnect: onDisconnect,
  stop: onStop,
} as const;
const owning = { ...watcher, lost: onLost, released: onReleased } as const;

/** Nothing of a session precedes the answer to its `subscribe`: what comes in these states is of a past connection. */
const waiting = {
  connect: stay,
  snapshot: onSnapshot,
  change: stay,
  lost: stay,
  released: stay,
  disconnect: stay,
  stop: onStop,
} as const;

const TRANSITIONS: TransitionTable = {
  idle: { ...waiting, connect: begin, snapshot: stay },
  connecting: waiting,
  watching: watcher,
  held_by_other: watcher,
  owner: owning,
  unconfirmed: owning,
  reconnecting: waiting,
  stopped: { ...waiting, snapshot: stay, stop: stay },
};

/** The state after `event`; the same object when nothing changes. */
export function transition(state: SessionState, event: StateEvent): SessionState {
  const handler = TRANSITIONS[state.name][event.type] as Handler<StateName, StateEventName>;
  return handler(state, event);
}
