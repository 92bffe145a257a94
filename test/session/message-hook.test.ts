import { afterEach, describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/protocol/errors.js';
import type { SessionSettings } from '../../src/session/session-node.js';
import { away, offsetsOf, rightsTo, SESSION, send, startTalk } from './conversation-harness.js';
import { say } from './domain-harness.js';

const S = SESSION;

let domain: ReturnType<typeof startTalk>;
function start(settings: Partial<SessionSettings> = {}) {
  domain = startTalk(settings);
  return domain;
}
afterEach(() => domain.close());

describe("the application's say in an owner's message", () => {
  const asks = { asks: { authorize: false, message: true } };

  it('replaces the payload', async () => {
    const { conversation, own, application, stored, alice } = start(asks);
    const { view } = await own(alice, S);
    application.decide = ({ payload }) => ({ data: { seen: payload } });
    await say(conversation, alice, send('hi'));
    expect(await stored(S)).toMatchObject([{ principal: 'alice', data: { seen: { data: 'hi' } } }]);
    expect(application.messages).toEqual([
      {
        sessionId: S,
        connectionId: alice.id,
        principal: 'alice',
        loginId: undefined,
        ownerEpoch: view.epoch,
        payload: { data: 'hi' },
        requestId: expect.any(String),
      },
    ]);
  });

  it('can be no, or not to be had', async () => {
    const { conversation, own, application, stored, appends, alice } = start(asks);
    await own(alice, S);
    application.decide = ({ payload }) => {
      if ('data' in payload && payload.data === 'bad') throw new HoldfastError('message_rejected', 'rude');
      if ('data' in payload && payload.data === 'late') throw away();
      return payload;
    };
    const sent = await Promise.allSettled(['bad', 'good', 'late'].map((data) => say(conversation, alice, send(data))));
    expect(sent).toMatchObject([
      { reason: { code: 'message_rejected', message: 'rude' } },
      { status: 'fulfilled' },
      { reason: { code: 'application_unavailable' } },
    ]);
    expect(await stored(S)).toMatchObject([{ data: 'good' }]);
    expect(appends).toHaveLength(1);
  });

  it('is asked for one message of a connection at a time, in their order', async () => {
    const { conversation, own, application, stored, alice } = start(asks);
    await own(alice, S);
    let underWay = 0;
    let most = 0;
    application.before = async () => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
      underWay--;
    };
    await Promise.all('abcdefgh'.split('').map((data) => say(conversation, alice, send(data))));
    expect((await stored(S)).map((message) => 'data' in message && message.data).join('')).toBe('abcdefgh');
    expect(most).toBe(1);
  });

  it('is asked under the same id when the message is repeated', async () => {
    const { conversation, own, application, stored, alice } = start(asks);
    await own(alice, S);
    const decisions = ['first', 'second', 'third'];
    application.decide = () => ({ data: decisions.shift() });
    await say(conversation, alice, send('x', { idempotency_key: 'k' }));
    await say(conversation, alice, send('x', { idempotency_key: 'k' }));
    await say(conversation, alice, send('x'));
    const [first, second, third] = application.messages.map(({ requestId }) => requestId);
    expect(first).toBe(second);
    expect(third).not.toBe(first);
    expect(offsetsOf(alice)).toEqual([1, 1, 2]);
    expect(await stored(S)).toMatchObject([{ data: 'first' }, { data: 'third' }]);
  });

  it('is asked under another id for another payload under the same key', async () => {
    const { conversation, own, application, stored, clock, alice, messages } = start(asks);
    await own(alice, S);
    const verdicts = new Map<string, unknown>();
    // As a receiver that remembers its answers by the id.
    application.decide = ({ payload, requestId }) => {
      if (!verdicts.has(requestId) && 'data' in payload) verdicts.set(requestId, payload.data);
      if (verdicts.get(requestId) !== 'nice') throw new HoldfastError('message_rejected', 'rude');
      return payload;
    };
    await say(conversation, alice, send('nice', { idempotency_key: 'k' }));
    await messages.remove(S);
    clock.advance(1);
    const rude = say(conversation, alice, send('rude', { idempotency_key: 'k' }));
    await expect(rude).rejects.toMatchObject({ code: 'message_rejected' });
    expect(await stored(S)).toEqual([]);
  });

  it('does not help who lost the right to send meanwhile, and is not asked for by who has', async () => {
    const { conversation, own, application, appends, alice } = start(asks);
    await own(alice, S);
    application.before = async () => {
      alice.rights = rightsTo('watch', 'own');
    };
    const sent = await Promise.allSettled([say(conversation, alice, send('a')), say(conversation, alice, send('b'))]);
    expect(sent).toMatchObject([{ reason: { code: 'forbidden' } }, { reason: { code: 'forbidden' } }]);
    expect(application.messages).toHaveLength(1);
    expect(appends).toEqual([]);
  });

  it('does not help who lost the session meanwhile, and is not asked for by who has', async () => {
    const { conversation, own, leave, application, stored, alice } = start(asks);
    await own(alice, S);
    application.before = () => leave(alice, S);
    const sent = await Promise.allSettled([say(conversation, alice, send('a')), say(conversation, alice, send('b'))]);
    expect(sent).toMatchObject([{ reason: { code: 'not_owner' } }, { reason: { code: 'not_owner' } }]);
    expect(application.messages).toHaveLength(1);
    expect(await stored(S)).toEqual([]);
  });

  it('does not help who can no longer be sure of the lease when it comes', async () => {
    const { conversation, own, application, appends, clock, alice } = start(asks);
    await own(alice, S);
    application.before = async () => clock.advance(60_000);
    await expect(say(conversation, alice, send('a'))).rejects.toMatchObject({ code: 'ownership_unconfirmed' });
    expect(appends).toEqual([]);
  });

  it('cannot make the message too large', async () => {
    const { conversation, own, application, appends, alice } = start({ ...asks, maxMessageBytes: 200 });
    await own(alice, S);
    application.decide = () => ({ data: 'x'.repeat(200) });
    await expect(say(conversation, alice, send('x'))).rejects.toMatchObject({ code: 'message_too_large' });
    expect(appends).toEqual([]);
  });
});
