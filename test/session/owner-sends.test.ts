import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { HoldfastError } from '../../src/protocol/errors.js';
import type { Payload } from '../../src/protocol/messages.js';
import type { Lease } from '../../src/session/leases.js';
import { leaseMsOf } from '../../src/session/session-node.js';
import { sendRequest } from '../support/send-request.js';
import { FakeSubscriber, offsetsOf, rightsTo, SESSION, send, startTalk } from './conversation-harness.js';

const MAX_MESSAGE_BYTES = 200;

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      who: fc.constantFrom<'alice' | 'bob' | 'carol'>('alice', 'alice', 'alice', 'bob', 'carol'),
      key: fc.constantFrom(undefined, undefined, 'k1', 'k2'),
      text: fc.constantFrom('a', 'ü', '\u2028"\\', '\ud800', '🦔', 'ж'.repeat(60), 'ж'.repeat(120)),
    }),
  },
  fc.record({ do: fc.constant('fail' as const), times: fc.integer({ min: 1, max: 2 }) }),
  { weight: 3, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
  fc.record({ do: fc.constant('leave' as const) }),
);

/** What the application makes of a message. */
const decided = fc.constantFrom<Payload | 'as it is' | 'no'>(
  'as it is',
  'as it is',
  'no',
  { data: 'é' },
  { bytes: '' },
);

it.each([false, true])('tells once what becomes of each message, and counts it so (asked: %s)', (message) =>
  fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.array(decided, { minLength: 1 }), async (steps, answers) => {
      const settings = { maxMessageBytes: MAX_MESSAGE_BYTES, asks: { authorize: false, message } };
      const { conversation, application, seam, messages, own, follow, leave, close, stored, counted, alice, bob } =
        startTalk(settings);
      const subscribers = { alice, bob, carol: new FakeSubscriber('carol') };
      await own(subscribers.alice, SESSION);
      await follow(subscribers.bob, SESSION);
      let failures = 0;
      let asked = 0;
      application.decide = ({ payload }) => {
        const answer = answers[asked++ % answers.length];
        if (answer === 'no') throw new HoldfastError('message_rejected', 'no');
        return answer === undefined || answer === 'as it is' ? payload : answer;
      };
      seam.append = (request) => (failures-- > 0 ? Promise.reject(new TypeError('broken')) : messages.append(request));

      const told: { who: string; errors: unknown[] }[] = [];
      for (const taken of steps) {
        if (taken.do === 'turn') await nextTurn();
        else if (taken.do === 'fail') failures = taken.times;
        else if (taken.do === 'leave') await leave(subscribers.alice, SESSION);
        else {
          const { who, key, text } = taken;
          const errors: unknown[] = [];
          told.push({ who, errors });
          const more = { id: String(told.length), ...(key !== undefined && { idempotency_key: key }) };
          const done = (error: unknown) => errors.push(error);
          conversation.send(subscribers[who], sendRequest(send(text, more)), { done });
        }
      }
      for (let turn = 0; turn < 20; turn++) await nextTurn();

      expect(told.map(({ errors }) => errors.length)).toEqual(told.map(() => 1));
      const refused = told.filter(({ errors: [error] }) => error !== undefined);
      expect(counted.filter((what) => what.startsWith('refused'))).toHaveLength(refused.length);
      const kept = await stored(SESSION);
      expect(counted.filter((what) => what === 'published owner 1')).toHaveLength(kept.length);
      expect(kept.map(({ offset }) => offset)).toEqual(kept.map((_, index) => index + 1));
      for (const [who, subscriber] of Object.entries(subscribers)) {
        const done = told.filter((it) => it.who === who && it.errors[0] === undefined).length;
        if (subscriber.open) expect(offsetsOf(subscriber)).toHaveLength(done);
        else expect(offsetsOf(subscriber).length).toBeLessThanOrEqual(done);
        expect(offsetsOf(subscriber).every((offset) => offset <= kept.length)).toBe(true);
      }
      close();
    }),
    { numRuns: 150, seed: 1 },
  ),
);

/** All in one turn, with a change before the last. @returns what the last is told */
async function sentTwice(change: (talk: ReturnType<typeof startTalk>) => void): Promise<unknown> {
  const talk = startTalk();
  const { conversation, own, alice, close } = talk;
  await own(alice, SESSION);
  conversation.send(alice, sendRequest(send('a')), { done: () => {} });
  change(talk);
  const told = new Promise((done) => conversation.send(alice, sendRequest(send('b')), { done }));
  const error = await told;
  close();
  return error;
}

it.each<[string, string, (talk: ReturnType<typeof startTalk>) => void]>([
  ['its right', 'forbidden', ({ alice }) => (alice.rights = rightsTo('watch', 'own'))],
  ['the session', 'not_owner', ({ node }) => node.leases.remove(node.leases.get(SESSION) as Lease)],
])('an owner that loses %s between two messages of a turn is refused the second', async (_, code, change) => {
  expect(await sentTwice(change)).toMatchObject({ code });
});

it('an owner whose lease runs out is refused in the next turn', async () => {
  const talk = startTalk();
  const { conversation, own, alice, clock, close } = talk;
  await own(alice, SESSION);
  const sent = () => new Promise((done) => conversation.send(alice, sendRequest(send('a')), { done }));
  expect(await sent()).toBeUndefined();
  clock.advance(leaseMsOf(30_000));
  expect(await sent()).toMatchObject({ code: 'ownership_unconfirmed' });
  close();
});
