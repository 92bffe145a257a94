import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { HookError } from '../../src/backend/hook-client.js';
import type { HttpAnswer } from '../../src/backend/http-post.js';
import { verifyWebhook } from '../../src/crypto/webhook-signature.js';
import { FakeClock } from '../support/fake-clock.js';
import { answer, hookClient, hookServer, SECRETS, until } from './hook-server.js';

const ok = ({ status, body }: HttpAnswer) => (status === 200 ? body : undefined);

async function failureOf(call: Promise<unknown>): Promise<HookError> {
  const error = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(error instanceof HookError)) throw new Error(`no HookError but ${String(error)}`);
  return error;
}

describe('a call', () => {
  test('is a signed POST of JSON over a kept connection', async () => {
    const server = await hookServer(answer(200, 'fine'));
    const { hook, told } = hookClient(server.url);
    const bodies = ['{"n":1}', '{"text":"ä\\u2028"}'];
    for (const body of bodies) expect(await hook.call('id-1', body, ok)).toBe('fine');
    expect(server.connections()).toBe(1);
    for (const [i, { headers, text }] of server.received.entries()) {
      expect(text).toBe(bodies[i]);
      expect(headers).toMatchObject({ 'content-type': 'application/json', 'webhook-id': 'id-1' });
      for (const secret of SECRETS) verifyWebhook([secret], headers, text);
    }
    expect(told).toEqual(['events answered', 'events answered']);
  });

  test('is sent once more when the kept connection turns out to be closed', async () => {
    const server = await hookServer(answer(200, 'fine'));
    const { hook } = hookClient(server.url);
    await hook.call('id-1', '{}', ok);
    // It resets the next request that comes on the connection that is kept.
    server.server.once('request', (request) => request.socket.resetAndDestroy());
    expect(await hook.call('id-2', '{}', ok)).toBe('fine');
    expect(server.connections()).toBe(2);
  });

  test.each<[string, Parameters<typeof hookServer>[0], string]>([
    ['a redirect', (_, response) => void response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end(), 'refused'],
    ['500', answer(500, 'no'), 'refused'],
    ['503', answer(503), 'refused'],
    ['404', answer(404), 'refused'],
    ['an answer of more than 64 KiB', answer(200, 'x'.repeat(65_537)), 'no_answer'],
    ['an answer that never begins', () => {}, 'no_answer'],
    ['an answer that never ends', (_, response) => void response.writeHead(200).write('{'), 'no_answer'],
    [
      'a connection that breaks in the middle of the answer',
      (_, response) => {
        response.writeHead(200, { 'content-length': 100 }).write('half');
        setTimeout(() => response.destroy(), 20);
      },
      'no_answer',
    ],
    [
      'a switch to another protocol',
      (_hook, _response, { socket }) => void socket.end('HTTP/1.1 101 On\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'),
      'no_answer',
    ],
    ['no HTTP', (_hook, _response, { socket }) => void socket.end('what?\r\n\r\n'), 'no_answer'],
  ])('fails on %s', async (_name, handler, outcome) => {
    const server = await hookServer(handler);
    const { hook, told } = hookClient(server.url);
    const startMs = performance.now();
    const error = await failureOf(hook.call('id-1', '{}', ok));
    expect(error.message).not.toContain('127.0.0.1');
    expect(told).toEqual([`events ${outcome}`]);
    expect(performance.now() - startMs).toBeLessThan(1_500);
    expect(server.received.length).toBe(1);
  });

  test('fails at once where nobody listens', async () => {
    const server = await hookServer(answer(200));
    server.close();
    const { hook } = hookClient(server.url);
    expect(await failureOf(hook.call('id-1', '{}', ok))).toMatchObject({ message: 'ECONNREFUSED' });
  });

  test('tells an answer that cannot be used', async () => {
    const server = await hookServer(answer(200, '<html>'));
    const { hook, told } = hookClient(server.url);
    await failureOf(hook.call('id-1', '{}', () => undefined));
    expect(told).toEqual(['events garbage']);
  });

  test('waits for its turn, within its time', async () => {
    let running = 0;
    let most = 0;
    const server = await hookServer(async (_hook, response) => {
      running += 1;
      most = Math.max(most, running);
      await sleep(30);
      running -= 1;
      response.end();
    });
    const { hook, told } = hookClient(server.url, { concurrency: 2, timeoutMs: 10_000 });
    const calls = Array.from({ length: 40 }, (_, i) => hook.call(`id-${i}`, '{}', ok));
    const results = await Promise.allSettled(calls);
    // Two at once, 32 that wait; more would have been too many.
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(34);
    expect(told.filter((word) => word === 'events skipped')).toHaveLength(6);
    expect(most).toBe(2);
    expect(hook.waitMs()).toBe(0);
  });

  test('gives its turn up when its time is over', async () => {
    const server = await hookServer(() => {});
    const { hook, told } = hookClient(server.url, { concurrency: 1, timeoutMs: 100 });
    await Promise.all([failureOf(hook.call('id-1', '{}', ok)), failureOf(hook.call('id-2', '{}', ok))]);
    expect(server.received).toHaveLength(1);
    expect(told.sort()).toEqual(['events no_answer', 'events skipped']);
  });
});

describe('after five failures in a row', () => {
  const failing = async () => {
    let status = 503;
    const server = await hookServer(async (hook, response, request) => {
      if (status === 200) await sleep(50);
      await answer(status)(hook, response, request);
    });
    const clock = new FakeClock();
    const client = hookClient(server.url, { clock });
    const fail = () => failureOf(client.hook.call('id', '{}', ok));
    const recover = () => {
      status = 200;
    };
    for (let i = 0; i < 5; i += 1) await fail();
    return { ...client, server, clock, fail, recover };
  };

  test('nothing is sent for a second, then one probe, then for two seconds and so on up to 30', async () => {
    const { hook, server, clock, fail, told, changes } = await failing();
    expect(changes).toEqual([true]);
    expect(await fail()).toMatchObject({ retryAfterMs: 1_000 });
    expect(told.at(-1)).toBe('events skipped');
    expect(server.received).toHaveLength(5);
    const waits = [];
    for (let probe = 0; probe < 7; probe += 1) {
      waits.push(hook.waitMs());
      clock.advance(hook.waitMs());
      await Promise.all([fail(), fail(), fail()]);
      expect(server.received).toHaveLength(6 + probe);
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    expect(changes).toEqual([true]);
  });

  test('one success ends it', async () => {
    const { hook, clock, recover, changes } = await failing();
    recover();
    clock.advance(1_000);
    await hook.call('id', '{}', ok);
    expect(hook.waitMs()).toBe(0);
    expect(changes).toEqual([true, false]);
    await Promise.all([hook.call('id', '{}', ok), hook.call('id', '{}', ok)]);
  });

  test('a request that is refused is no failure of the application, but one between four and one more is', async () => {
    const statuses = [500, 500, 500, 500, 404, 500, 500, 500, 500, 307];
    const server = await hookServer((hook, response, request) =>
      answer(statuses.shift() ?? 200)(hook, response, request),
    );
    const { hook } = hookClient(server.url);
    for (let i = 0; i < 9; i += 1) await failureOf(hook.call('id', '{}', ok));
    expect(hook.waitMs()).toBe(0);
    await failureOf(hook.call('id', '{}', ok));
    expect(hook.waitMs()).toBeGreaterThan(900);
  });

  test('a probe that is under way lets nobody else through', async () => {
    const { hook, server, clock, recover } = await failing();
    recover();
    clock.advance(1_000);
    server.received.length = 0;
    const probe = hook.call('id', '{}', ok);
    await until(() => server.received.length === 1);
    await failureOf(hook.call('id', '{}', ok));
    await probe;
    expect(server.received).toHaveLength(1);
  });
});
