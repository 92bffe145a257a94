import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type PostOptions, send } from '../../src/login/upstream-fetch.js';
import { StrictProvider } from '../support/strict-provider.js';

let idp: StrictProvider;

beforeEach(async () => {
  idp = await StrictProvider.start();
});
afterEach(() => idp.stop());

const post = (timeoutMs: number): PostOptions => ({
  method: 'POST',
  headers: {},
  body: '',
  timeoutMs,
  allowLoopback: true,
});

/** Stops this process as a debugger, a suspended machine or one that is overloaded does. */
function stall(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test('a request that a stall kept from being sent in time is not sent after it', async () => {
  await turn();
  const sending = send(new URL(idp.tokenUrl), post(50));
  // The system connects meanwhile, and this process has still to hear of it.
  process.nextTick(() => process.nextTick(() => stall(100)));
  await expect(sending).rejects.toMatchObject({ notSent: true });
  await sleep(100);
  expect(idp.requests).toHaveLength(0);
});

test('without time left nothing is sent', async () => {
  await expect(send(new URL(idp.tokenUrl), post(0))).rejects.toMatchObject({ notSent: true });
  await sleep(50);
  expect(idp.requests).toHaveLength(0);
});

test('an answer that is here when a stall ends counts, however late', async () => {
  idp.faults.push((response) => {
    response.end('{}');
    // It is written by then, and nothing has been read since.
    process.nextTick(() => process.nextTick(() => stall(100)));
  });
  expect((await send(new URL(idp.tokenUrl), post(50))).status).toBe(200);
});
