import {
  type AppendOutcome,
  type AppendRequest,
  IDEMPOTENCY_MS,
  type ItemResult,
} from '../../session/message-ports.js';
import type { Keys } from './keys.js';

/** What scripts/append.lua takes. */
export function appendCall(keys: Keys, request: AppendRequest): { keys: string[]; args: (string | number)[] } {
  const { sessionId, writerId, sequence, retention, items } = request;
  const { maxCount, maxBytes, maxAgeMs, whenFull } = retention;
  const callKeys = [keys.owner(sessionId), keys.position(sessionId), keys.log(sessionId)];
  const args = [writerId, sequence, maxCount, maxBytes, maxAgeMs, whenFull === 'refuse' ? 1 : 0];
  for (const { tail, ephemeral, owner, expectedOwnerEpoch = '', expectedOffset = '', idempotency } of items) {
    if (idempotency !== undefined) callKeys.push(keys.sent(sessionId, idempotency.hash));
    args.push(
      ephemeral ? 'e' : 's',
      owner?.connectionId ?? '',
      owner?.epoch ?? '',
      expectedOwnerEpoch,
      expectedOffset,
      idempotency === undefined ? '' : `${idempotency.fingerprint}:${idempotency.keepMs ?? IDEMPOTENCY_MS}`,
      tail,
    );
  }
  return { keys: callKeys, args };
}

const REFUSALS: Readonly<Record<string, Exclude<ItemResult['result'], 'accepted' | 'duplicate'>>> = {
  n: 'not_owner',
  s: 'stale_epoch',
  x: 'offset_conflict',
  k: 'idempotency_conflict',
  f: 'history_full',
};

/** What it returned. */
export function appendOutcome(reply: string): AppendOutcome {
  const [epoch = '', top = '', results = ''] = reply.split('\t');
  return { epoch, top: Number(top), results: results === '' ? [] : results.split(' ').map(itemResult) };
}

function itemResult(word: string): ItemResult {
  const refusal = REFUSALS[word];
  if (refusal !== undefined) return { result: refusal };
  return { result: word.startsWith('a') ? 'accepted' : 'duplicate', offset: Number(word.slice(1)) };
}
