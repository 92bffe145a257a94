import { afterEach, describe, expect, it } from 'vitest';
import { OwnerChanges } from '../../src/session/owner-changes.js';
import type { SessionSettings } from '../../src/session/session-node.js';
import { SESSION, send, startTalk } from './conversation-harness.js';
import { say } from './domain-harness.js';

const S = SESSION;

let domain: ReturnType<typeof startTalk>;
function start(settings: Partial<SessionSettings> = {}) {
  domain = startTalk(settings);
  return domain;
}
afterEach(() => domain.close());

describe('publishing', () => {
  it('keeps the order of each session and says what became of each message', async () => {
    const { conversation, own, appends, counted, alice } = start({ maxMessageBytes: 100 });
    const { view } = await own(alice, S);
    const results = await conversation.publish([
      { session_id: S, data: 1 },
      { session_id: 'other', data: 1 },
      { session_id: S, data: 'x'.repeat(100) },
      { session_id: S, data: 2, expected_owner_epoch: view.epoch - 1 },
      { session_id: S, data: 3, expected_owner_epoch: view.epoch, expected_offset: 1 },
      { session_id: S, data: 4, expected_offset: 1 },
      { session_id: S, data: 5, idempotency_key: 'k' },
      { session_id: S, data: 5, idempotency_key: 'k' },
      { session_id: S, data: 6, idempotency_key: 'k' },
      { session_id: S, data: 7, ephemeral: true },
    ]);
    const epoch = expect.any(String);
    const error = (code: string) => ({ session_id: S, error: { code, message: expect.any(String), retryable: false } });
    expect(results).toEqual([
      { session_id: S, offset: 1, epoch },
      { session_id: 'other', offset: 1, epoch },
      error('message_too_large'),
      error('stale_epoch'),
      { session_id: S, offset: 2, epoch },
      error('offset_conflict'),
      { session_id: S, offset: 3, epoch },
      { session_id: S, offset: 3, epoch, duplicate: true },
      error('idempotency_conflict'),
      { session_id: S, offset: 3, epoch },
    ]);
    expect(appends.map(({ items }) => items.length)).toEqual([8, 1]);
    expect(counted.filter((what) => what === 'published application 1')).toHaveLength(5);
    const page = await conversation.history(S, { after: 1 }, 10);
    expect(page).toMatchObject({ session_id: S, position: { offset: 3 }, first_offset: 1 });
    expect(page.messages).toEqual([
      { offset: 2, at: expect.any(Number), data: 3 },
      { offset: 3, at: expect.any(Number), data: 5 },
    ]);
  });

  it("does not take an owner's idempotency key for the application's", async () => {
    const { conversation, own, stored, alice } = start();
    await own(alice, S);
    await say(conversation, alice, send('x', { idempotency_key: 'k' }));
    await conversation.publish([{ session_id: S, data: 'x', idempotency_key: 'k' }]);
    expect(await stored(S)).toHaveLength(2);
  });

  it('has no results for no messages', async () => {
    expect(await start().conversation.publish([])).toEqual([]);
  });

  it('says that the history is full', async () => {
    const retention = { maxCount: 1, maxBytes: 1_000, maxAgeMs: 1_000, whenFull: 'refuse' } as const;
    const { conversation } = start({ retention });
    const results = await conversation.publish([
      { session_id: S, data: 1 },
      { session_id: S, data: 2 },
    ]);
    expect(results).toMatchObject([{ offset: 1 }, { error: { code: 'history_full' } }]);
  });

  it('answers a fault with a result too, and does not tell what it was', async () => {
    const { conversation, seam } = start();
    seam.append = () => Promise.reject(new TypeError('secret'));
    expect(await conversation.publish([{ session_id: S, data: 1 }])).toEqual([
      { session_id: S, error: { code: 'internal', message: 'internal error', retryable: true } },
    ]);
  });
});

describe('a session', () => {
  it('is shown with its position, its history and who is there', async () => {
    const { conversation, node, own, alice } = start({ presence: true });
    const changes = new OwnerChanges(node);
    await expect(changes.inspect(S)).rejects.toMatchObject({ code: 'not_found' });
    await conversation.publish([1, 2, 3].map((data) => ({ session_id: S, data })));
    await conversation.truncate(S, 1);
    const presence = { count: 2, members: [{ principal: 'alice', connections: 2 }] };
    const position = { epoch: expect.any(String), offset: 3 };
    expect(await changes.inspect(S)).toMatchObject({
      state: 'free',
      owner_epoch: 0,
      position,
      first_offset: 2,
      presence,
    });
    await own(alice, S);
    expect(await changes.inspect(S)).toMatchObject({ state: 'owned', principal: 'alice', position, first_offset: 2 });
    expect(await changes.remove(S)).toMatchObject({ state: 'free', position, first_offset: 2 });
  });

  it('can be removed, owned or not', async () => {
    const { conversation, node, bus, own, stored, alice } = start();
    await conversation.publish([{ session_id: S, data: 1 }]);
    const { position } = await conversation.history(S, { after: 0 }, 1);
    await conversation.remove(S);
    expect(await stored(S)).toEqual([]);
    await node.hub.join(S);
    await own(alice, S);
    await say(conversation, alice, send(1));
    const seen: string[] = [];
    bus.onEvent(({ kind }) => seen.push(kind));
    await conversation.remove(S);
    await expect.poll(() => seen).toEqual(expect.arrayContaining(['ownership', 'subscription_removal']));
    expect(await stored(S)).toEqual([]);
    await expect(new OwnerChanges(node).inspect(S)).resolves.toMatchObject({ state: 'free', position: { offset: 0 } });
    expect((await conversation.history(S, { after: 0 }, 1)).position.epoch).not.toBe(position.epoch);
  });
});
