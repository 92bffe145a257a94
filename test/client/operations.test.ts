import { describe, expect, it } from 'vitest';
import type { ClientError } from '../../src/client/index.js';
import { client, gateway, opened, owning, pass, reopened } from './client-harness.js';
import { OWNED, snapshot } from './fake-gateway.js';

describe('operations', () => {
  it('claim resolves for the owner and rejects for others with the code of the gateway', async () => {
    const session = await opened();
    gateway.socket.acknowledge();
    const refused = session.claim();
    const { id } = gateway.socket.last('claim');
    const error = {
      type: 'error',
      code: 'session_held',
      message: '',
      retryable: true,
      retry_after_ms: 900,
      session_id: 's:1',
      id,
    };
    gateway.socket.receive(error);
    await expect(refused).rejects.toMatchObject({ code: 'session_held', retryAfterMs: 900, retryable: true });
    const forced = session.claim({ force: true });
    expect(gateway.socket.last('claim')).toMatchObject({ force: true });
    const ack = { ...snapshot('s:1'), ...OWNED, type: 'claim_ack' as const, owner_epoch: 6 };
    gateway.socket.receive({ ...ack, id: gateway.socket.last('claim').id });
    await forced;
    expect(session.state.name).toBe('owner');
    await session.claim();
    expect(gateway.socket.all('claim')).toHaveLength(2);
  });

  it('a claim whose answer was lost is sent again after the subscription, as the same attempt', async () => {
    const session = await opened();
    gateway.socket.acknowledge();
    const claimed = session.claim();
    const { attempt_id } = gateway.socket.last('claim');
    gateway.socket.breakOff();
    await reopened();
    expect(gateway.socket.all('claim')).toHaveLength(0);
    gateway.socket.acknowledge({ state: 'held' });
    expect(gateway.socket.last('claim').attempt_id).toBe(attempt_id);
    const ack = { ...snapshot('s:1'), ...OWNED, type: 'claim_ack' as const, id: gateway.socket.last('claim').id };
    gateway.socket.receive(ack);
    await claimed;
  });

  it('a claim is done with its answer, which brings the token, and not with the event that precedes it', async () => {
    const session = await opened();
    gateway.socket.acknowledge({ state: 'free' });
    let done = false;
    const claimed = session.claim().then(() => (done = true));
    const { attempt_id } = gateway.socket.last('claim');
    const event = { type: 'ownership', session_id: 's:1', state: 'owned', owner_epoch: 6, rev: 2, reason: 'claimed' };
    gateway.socket.receive({ ...event, owner: true });
    await pass();
    expect(session.state.name).toBe('owner');
    expect(done).toBe(false);
    gateway.socket.breakOff();
    await reopened();
    gateway.socket.acknowledge({ state: 'held', owner_epoch: 6, rev: 3 });
    expect(gateway.socket.last('claim').attempt_id).toBe(attempt_id);
    const ack = { ...snapshot('s:1'), ...OWNED, type: 'claim_ack' as const, owner_epoch: 7, rev: 4 };
    gateway.socket.receive({ ...ack, id: gateway.socket.last('claim').id });
    await claimed;
  });

  it('tells the state once, by whichever of a claim’s answer and its event comes first', async () => {
    const session = await opened();
    gateway.socket.acknowledge({ state: 'free' });
    const names: string[] = [];
    session.on('state', ({ state }) => names.push(state.name));
    const claimed = session.claim();
    const news = { session_id: 's:1', state: 'owned', owner_epoch: 6, rev: 2 } as const;
    gateway.socket.receive({ type: 'ownership', ...news, reason: 'claimed', owner: true });
    const { id } = gateway.socket.last('claim');
    gateway.socket.receive({ ...snapshot('s:1'), ...OWNED, ...news, type: 'claim_ack', id });
    await claimed;
    expect(names).toEqual(['owner']);
  });

  it('a release that may have been lost does not claim the session again', async () => {
    const session = await owning();
    const released = session.release();
    gateway.socket.breakOff();
    await reopened();
    expect(gateway.socket.subscription()).toMatchObject({ claim: 'never', reconnect_token: 'token-1' });
    gateway.socket.acknowledge({ state: 'free', token_status: 'expired' });
    await released;
    expect(gateway.socket.all('release')).toHaveLength(0);
    gateway.socket.breakOff();
    await reopened();
    expect(gateway.socket.subscription()).toMatchObject({ claim: 'never' });
  });

  it('run one after the other, and end with the session', async () => {
    const session = await owning();
    const results = Promise.allSettled([session.release(), session.claim(), session.unsubscribe()]);
    expect(gateway.socket.sent.map(({ type }) => type)).toEqual(['subscribe', 'release']);
    gateway.socket.receive({ type: 'release_ack', session_id: 's:1', id: gateway.socket.last('release').id });
    expect(gateway.socket.sent.at(-1)?.type).toBe('claim');
    client.close();
    const [released, claimed, unsubscribed] = await results;
    expect(released.status).toBe('fulfilled');
    expect(claimed).toMatchObject({ reason: { code: 'stopped' } });
    expect(unsubscribed.status).toBe('fulfilled');
  });

  it('are bounded in number and in time', async () => {
    const session = await opened({ operationTimeoutMs: 3_000 });
    const results = Promise.allSettled(Array.from({ length: 17 }, () => session.claim()));
    await pass(3_000);
    const codes = (await results).map((result) => result.status === 'rejected' && (result.reason as ClientError).code);
    expect(codes).toEqual([...Array.from({ length: 16 }, () => 'timeout'), 'queue_full']);
  });

  it('an answer that comes after the time-out is not taken for that of the next operation', async () => {
    const session = await opened({ operationTimeoutMs: 1_000 });
    gateway.socket.acknowledge();
    const late = session.claim().catch((error: ClientError) => error.code);
    const { id } = gateway.socket.last('claim');
    await pass(1_000);
    expect(await late).toBe('timeout');
    const forced = session.claim({ force: true });
    gateway.socket.receive({
      type: 'error',
      code: 'session_owned',
      message: '',
      retryable: false,
      session_id: 's:1',
      id,
    });
    expect(gateway.socket.last('claim')).toMatchObject({ force: true });
    const ack = { ...snapshot('s:1'), ...OWNED, type: 'claim_ack' as const, id: gateway.socket.last('claim').id };
    gateway.socket.receive(ack);
    await forced;
  });

  it('unsubscribe ends the session; without a connection it comes back to say so', async () => {
    const session = await owning();
    gateway.socket.breakOff();
    const unsubscribed = session.unsubscribe();
    await reopened();
    expect(gateway.socket.subscription()).toMatchObject({ claim: 'never', reconnect_token: 'token-1' });
    gateway.socket.acknowledge({ ...OWNED, reconnect_token: 'token-2' });
    gateway.socket.receive({ type: 'unsubscribe_ack', session_id: 's:1', id: gateway.socket.last('unsubscribe').id });
    await unsubscribed;
    expect(session.state).toEqual({ name: 'stopped', reason: 'unsubscribed' });
  });

  it('unsubscribe gives up a connection over which it did not succeed in time, and the session with it', async () => {
    const session = await owning({ operationTimeoutMs: 1_000 });
    const unsubscribed = session.unsubscribe();
    const { id } = gateway.socket.last('unsubscribe');
    const refusal = { type: 'error', code: 'store_unavailable', message: '', retryable: true, session_id: 's:1', id };
    gateway.socket.receive({ ...refusal, retry_after_ms: 5_000 });
    await pass(1_000);
    await unsubscribed;
    expect(session.state).toEqual({ name: 'stopped', reason: 'unsubscribed' });
    expect(gateway.socket.closedWith).toBeDefined();
  });

  it('unsubscribe of a listener of `reset` reaches the gateway', async () => {
    const session = await opened();
    session.on('reset', () => void session.unsubscribe());
    gateway.socket.acknowledge({ recovered: false });
    expect(gateway.socket.all('unsubscribe')).toHaveLength(1);
  });
});
