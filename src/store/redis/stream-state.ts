import type { Position } from '../../protocol/messages.js';
import type { StreamState } from '../../session/message-ports.js';

/** Reads what scripts/stream.lua returns; '' stands for a session that has no stream. */
export function streamState(text: string): StreamState {
  const [epoch = '', top = '0', first = '1', forks = ''] = text.split('\t');
  return { epoch, top: Number(top), first: Number(first), forks: forks === '' ? [] : forks.split(',').map(fork) };
}

function fork(text: string): Position {
  const [epoch = '', offset] = text.split(':');
  return { epoch, offset: Number(offset) };
}
