/** What the page says of states and events, in plain words. */
import type { ConnectionState, SessionState } from '../client/index.js';
import { CLOSE_CODES } from '../protocol/close-codes.js';
import type { OwnershipReason } from '../protocol/messages.js';

export interface Said {
  headline: string;
  detail: string;
}

/** With these it is a login that is missing. */
const LOGIN_CODES: ReadonlySet<number | undefined> = new Set([
  CLOSE_CODES.revoked,
  CLOSE_CODES.login_ended,
  CLOSE_CODES.token_reuse,
  CLOSE_CODES.bad_credential,
]);

/** @param code with which the gateway closed the connection for good */
export function describe(state: SessionState, away: boolean, code?: number): Said {
  switch (state.name) {
    case 'owner':
      return { headline: 'You own this session', detail: 'This tab alone may drive it.' };
    case 'unconfirmed':
      return { headline: 'You own this session, perhaps', detail: 'The node cannot be sure of the lease right now.' };
    case 'held_by_other':
      return { headline: 'Held for its owner', detail: 'The owner lost its connection and may still come back.' };
    case 'watching':
      return state.ownership.state === 'free'
        ? { headline: 'Nobody owns it', detail: 'You are watching. Claim it, or wait for the next subscriber.' }
        : { headline: 'You are watching', detail: 'Another connection owns the session.' };
    case 'reconnecting':
      if (away) return { headline: 'You are away', detail: awayDetail(state.wasOwner) };
      return { headline: 'Reconnecting', detail: state.wasOwner ? 'Taking the session back.' : 'Back in a moment.' };
    case 'stopped':
      return { headline: 'Not subscribed', detail: stopDetail(state.reason, code) };
    default:
      return away
        ? { headline: 'You are away', detail: 'Not connected.' }
        : { headline: 'Connecting', detail: 'Looking for the gateway.' };
  }
}

function awayDetail(wasOwner: boolean): string {
  return wasOwner ? 'The session is held for you. Come back before the time is up.' : 'Not connected.';
}

function stopDetail(reason: Extract<SessionState, { name: 'stopped' }>['reason'], code?: number): string {
  const details = {
    unsubscribed: 'You left the session.',
    closed: 'The client was closed.',
    gateway: LOGIN_CODES.has(code)
      ? 'The gateway takes only those who are logged in.'
      : 'The gateway closed the connection for good.',
    refused: 'The gateway refused the subscription.',
    removed: 'The application ended the subscription.',
    forbidden: 'You may no longer watch this session.',
  };
  return details[reason];
}

export const REASONS: Record<OwnershipReason, string> = {
  claimed: 'claimed',
  reclaimed: 'taken back with the reconnect token',
  handed_over: 'handed over to the oldest watcher',
  forced: 'taken over by force',
  transferred: 'transferred by the application',
  reestablished: 're-established after the store lost it',
  confirmed: 'confirmed again',
  disconnected: 'owner disconnected, grace period runs',
  released: 'released by its owner',
  unsubscribed: 'owner unsubscribed',
  expired: 'grace period over',
  removed: 'owner removed by the application',
  revoked: 'owner’s login revoked',
  lost: 'the store lost the session',
  resynced: 'brought up to date',
};

export function describeConnection(state: ConnectionState): string | undefined {
  switch (state.name) {
    case 'open':
      return `Connected to ${state.welcome.node} as ${state.welcome.connection_id}`;
    case 'waiting':
      return `Connection lost (${state.code}); next attempt in ${state.delayMs} ms`;
    case 'paused':
      return 'Disconnected, staying away';
    case 'stopped':
      return state.code === undefined ? 'Disconnected' : `Closed by the gateway (${state.code})`;
    case 'connecting':
      return undefined;
  }
}
