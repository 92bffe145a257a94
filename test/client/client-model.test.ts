import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { ClientError } from '../../src/client/index.js';
import { client, connect, pass } from './client-harness.js';
import { FakeGateway } from './fake-gateway.js';
import { ModelGateway } from './model-gateway.js';

type Step =
  | { do: 'claim'; force: boolean }
  | { do: 'send'; aborts: boolean }
  | { do: 'release' | 'signal' | 'welcome' | 'drop' | 'takeOver' | 'leave' | 'expire' | 'publish' | 'reconnect' }
  | { do: 'serve'; reply: boolean; early: boolean }
  | { do: 'refuse'; code: string; retryable: boolean }
  | { do: 'pass'; ms: number };

const just = (
  ...names: ('release' | 'signal' | 'welcome' | 'drop' | 'takeOver' | 'leave' | 'expire' | 'publish' | 'reconnect')[]
) => fc.constantFrom(...names).map((name): Step => ({ do: name }));

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.boolean().map((force): Step => ({ do: 'claim', force })) },
  { weight: 4, arbitrary: fc.integer({ max: 3, min: 0 }).map((n): Step => ({ do: 'send', aborts: n === 0 })) },
  { weight: 3, arbitrary: just('welcome') },
  { weight: 4, arbitrary: just('release', 'signal', 'drop', 'takeOver', 'leave', 'expire', 'publish', 'reconnect') },
  {
    weight: 10,
    arbitrary: fc.record({ do: fc.constant('serve' as const), reply: fc.boolean(), early: fc.boolean() }),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom('session_busy', 'rate_limited', 'internal', 'forbidden')
      .map((code): Step => ({ do: 'refuse', code, retryable: code !== 'forbidden' })),
  },
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 12_000 }).map((ms): Step => ({ do: 'pass', ms })) },
);

interface Sent {
  key: string;
  outcome: { offset: number } | { code: string } | undefined;
  settled: number;
}

/** Plays the steps, then lets everything be answered. */
async function play(steps: readonly Step[], claims: 'if_free' | 'never') {
  const fake = new FakeGateway();
  const model = new ModelGateway(fake);
  // A run that failed has left its client open.
  client?.close();
  connect({ WebSocket: fake.WebSocket, operationTimeoutMs: 3_600_000 });
  const session = client.session('s:1', { claim: claims });
  const heard: number[] = [];
  const sent: Sent[] = [];
  const others: Promise<unknown>[] = [];
  session.on('message', ({ offset }) => heard.push(offset));
  session.on('reset', () => expect.unreachable('nothing is ever missed'));
  let from: number | undefined;

  const send = (aborts: boolean) => {
    const calling = new AbortController();
    const one: Sent = { key: `k${sent.length}`, outcome: undefined, settled: 0 };
    sent.push(one);
    session.send(one.key, { idempotencyKey: one.key, signal: calling.signal }).then(
      (answer) => ((one.outcome = answer), one.settled++),
      (error: ClientError) => ((one.outcome = { code: error.code ?? 'aborted' }), one.settled++),
    );
    if (aborts) setTimeout(() => calling.abort(new Error('called off')), 50);
  };
  const settle = (promise: Promise<unknown>) => others.push(promise.catch((error: ClientError) => error.code));
  const take = async (one: Step) => {
    if (one.do === 'claim') settle(session.claim({ force: one.force }));
    else if (one.do === 'release') settle(session.release());
    else if (one.do === 'signal') settle(session.signal('x'));
    else if (one.do === 'send') send(one.aborts);
    else if (one.do === 'reconnect') client.reconnect();
    else if (one.do === 'serve') model.serve(one.reply, one.early);
    else if (one.do === 'refuse') model.refuse(one.code, one.retryable);
    else if (one.do !== 'pass') model[one.do]();
    await pass(one.do === 'pass' ? one.ms : 0);
    model.look();
    from ??= session.position?.offset;
    expect(model.overlapped).toBe(false);
  };

  await pass();
  for (const one of steps) await take(one);
  for (let round = 0; round < 60; round++) {
    await take({ do: 'welcome' });
    while (model.pending > 0) await take({ do: 'serve', reply: true, early: round % 2 === 0 });
    await take({ do: 'pass', ms: 1_000 });
  }
  return { model, session, heard, sent, others, from, fake };
}

describe('the client against a gateway that answers when and how it likes', () => {
  it('asks one thing at a time, loses and doubles nothing, and ends up knowing how things stand', async () => {
    const seen = { sent: 0, acknowledged: 0, refused: 0, owner: 0, connections: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 100, size: 'max' }),
        fc.constantFrom('if_free', 'never'),
        async (steps, claims) => {
          const { model, session, heard, sent, others, from, fake } = await play(steps, claims);
          const isOwner = model.ours && model.state === 'owned';
          expect(model.isUp && model.subscribed).toBe(true);
          expect(session.state).toMatchObject({
            name: isOwner ? 'owner' : model.state === 'held' ? 'held_by_other' : 'watching',
            ownership: { state: model.state, ownerEpoch: model.epoch, rev: model.rev },
          });
          expect(heard).toEqual(model.history.map((_, index) => index + 1).filter((offset) => offset > (from ?? 0)));
          expect(new Set(model.history.filter((key) => key !== undefined)).size).toBe(
            model.history.filter((key) => key !== undefined).length,
          );
          for (const { key, outcome, settled } of sent) {
            expect(settled).toBe(1);
            const stored = model.history.indexOf(key) + 1;
            if (outcome !== undefined && 'offset' in outcome) expect(outcome.offset).toBe(stored);
            else {
              // What is stored may have been called off, or refused when it was sent again; else it is acknowledged.
              expect(['forbidden', 'aborted', stored > 0 ? '' : 'not_owner']).toContain(outcome?.code);
            }
          }
          await Promise.all(others);
          seen.sent += sent.length;
          seen.acknowledged += sent.filter(({ outcome }) => outcome !== undefined && 'offset' in outcome).length;
          seen.refused += sent.filter(({ outcome }) => outcome !== undefined && 'code' in outcome).length;
          seen.owner += Number(isOwner);
          seen.connections += fake.sockets.length;
          const late = [session.send('z'), session.claim()].map((one) => one.catch((error: ClientError) => error.code));
          client.close();
          expect(vi.getTimerCount()).toBe(0);
          await Promise.all(late);
          const asked = fake.sockets.reduce((sum, socket) => sum + socket.sent.length, 0);
          await pass(60_000);
          expect(fake.sockets.reduce((sum, socket) => sum + socket.sent.length, 0)).toBe(asked);
        },
      ),
      { numRuns: 60 },
    );
    // The runs met what they are for.
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(15);
  });
});
