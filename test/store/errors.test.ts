import { ReplyError } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { call, classify, messageOf } from '../../src/store/redis/errors.js';
import type { StoreTelemetry } from '../../src/store/redis/telemetry.js';

const reply = (message: string): Error => new ReplyError(message) as Error;

describe('what an error says about the command', () => {
  test.each([
    ['not_sent', new Error("Stream isn't writeable and enableOfflineQueue options is false")],
    ['not_sent', new Error("Cluster isn't ready and enableOfflineQueue options is false")],
    ['not_sent', new Error('Too many Cluster redirections. Last error: ReplyError: MOVED 1 127.0.0.1:7000')],
    ['not_sent', reply("READONLY You can't write against a read only replica.")],
    ['not_sent', reply('LOADING Redis is loading the dataset in memory')],
    ['not_sent', reply('TRYAGAIN Multiple keys request during rehashing of slot')],
    ['not_sent', reply('NOREPLICAS Not enough good replicas to write.')],
    ['not_sent', reply('CLUSTERDOWN The cluster is down')],
    ['not_sent', reply("OOM command not allowed when used memory > 'maxmemory'.")],
    ['unknown', new Error('Command timed out')],
    ['unknown', new Error('Connection is closed.')],
    ['unknown', new Error('Reached the max retries per request limit (which is 0).')],
    ['rejected', reply('WRONGTYPE Operation against a key holding the wrong kind of value')],
    ['rejected', reply('NOPERM this user has no permissions to run the evalsha command')],
    ['rejected', reply('ERR user_script:3: attempt to index a nil value')],
  ])('%s: %s', (kind, error) => {
    expect(classify(error)).toBe(kind);
  });
});

test('an error shows nothing of a command that Redis quotes', () => {
  const quoting = reply("ERR unknown command 'AUTH', with args beginning with: 'joe' 'hush'\r\n ");
  expect(messageOf(quoting)).toBe("ERR unknown command 'AUTH'");
});

describe('a call', () => {
  function reported(): { telemetry: StoreTelemetry; results: string[] } {
    const results: string[] = [];
    const nothing = () => {};
    const command: StoreTelemetry['command'] = (verb, result) => results.push(`${verb} ${result}`);
    return { telemetry: { command, connection: nothing, gap: nothing, probe: nothing }, results };
  }

  test('is repeated while Redis refuses it or its outcome is unknown', async () => {
    const { telemetry, results } = reported();
    const failures = [reply('TRYAGAIN'), new Error('Command timed out'), reply('LOADING')];
    const answer = await call(telemetry, 'claim', async () => {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      return 'done';
    });
    expect(answer).toBe('done');
    expect(results).toEqual(['claim not_sent', 'claim unknown', 'claim not_sent', 'claim ok']);
  });

  test('gives up within its budget, and says when to try again', async () => {
    const { telemetry, results } = reported();
    const startMs = performance.now();
    const failing = call(telemetry, 'claim', () => Promise.reject(new Error("Stream isn't writeable")));
    await expect(failing).rejects.toMatchObject({ code: 'store_unavailable', retryable: true, retryAfterMs: 1000 });
    expect(performance.now() - startMs).toBeLessThan(1700);
    expect(results.length).toBeGreaterThan(4);
  });

  test('is not repeated once Redis rejected it, and the error carries no part of the command', async () => {
    const { telemetry, results } = reported();
    const rejection = Object.assign(reply('WRONGTYPE Operation'), { command: { name: 'evalsha', args: ['secret'] } });
    const error = await call(telemetry, 'claim', () => Promise.reject(rejection)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'store_unavailable', cause: { message: 'WRONGTYPE Operation' } });
    expect((error as Error).cause).not.toHaveProperty('command');
    expect(results).toEqual(['claim rejected']);
  });
});
