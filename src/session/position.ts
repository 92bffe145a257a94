import type { Position } from '../protocol/messages.js';
import type { StreamState } from './message-ports.js';

/** Whether everything that came after a position can still be read, whichever epoch of the stream it is of. */
export type Standing = 'recoverable' | 'lost';

/**
 * A position of an earlier epoch counts up to where that epoch is part of this history: what it gave beyond, the store
 * has lost, and somebody may have seen it.
 */
export function standing(state: StreamState, position: Position): Standing {
  const { epoch, offset } = position;
  if (offset < state.first - 1) return 'lost';
  const upTo = epoch === state.epoch ? state.top : state.forks.find((fork) => fork.epoch === epoch)?.offset;
  return upTo !== undefined && offset <= upTo ? 'recoverable' : 'lost';
}
