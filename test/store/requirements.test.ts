import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { connectRedis } from '../../src/store/redis/client.js';
import { RedisRequirementError } from '../../src/store/redis/errors.js';
import { checkRequirements } from '../../src/store/redis/requirements.js';
import { freePorts } from '../support/ports.js';
import { redisCall, startPrivateRedis } from '../support/redis-process.js';
import { quietStore, silent } from '../support/silent.js';

const LOADING = 'redis_version:7.0.15\r\nloading:1\r\nloading_eta_seconds:60\r\n';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** What an operator would read, or undefined when all is well. */
async function complaint(url: string): Promise<string | undefined> {
  const options = { prefix: 'hf', log: silent, telemetry: quietStore, connectWithinMs: 700 };
  try {
    const connection = await connectRedis(url, options);
    cleanups.push(() => connection.close());
    await checkRequirements(connection);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(RedisRequirementError);
    const { message } = error as Error;
    expect(message).not.toContain('\n');
    expect(message).not.toContain('hunter2');
    return message;
  }
}

async function redisWith(...args: string[]): Promise<string> {
  const redis = await startPrivateRedis({ args });
  cleanups.push(() => redis.stop());
  return `127.0.0.1:${redis.port}`;
}

async function redisWithPassword(password: string): Promise<string> {
  const redis = await startPrivateRedis();
  cleanups.push(() => redis.stop());
  await redisCall(redis.port, 'CONFIG', 'SET', 'requirepass', password);
  return `127.0.0.1:${redis.port}`;
}

/** A server that answers INFO with these, the last again and again, and everything else with OK: no Redis to be had here. */
async function serverWith(...infos: [string, ...string[]]): Promise<string> {
  let [info] = infos;
  const server: Server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      for (const [, name = ''] of chunk.toString().matchAll(/\*\d+\r\n\$\d+\r\n(\w+)\r\n/g)) {
        if (name.toLowerCase() === 'info') info = infos.shift() ?? info;
        socket.write(name.toLowerCase() === 'info' ? `$${Buffer.byteLength(info)}\r\n${info}\r\n` : '+OK\r\n');
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(async () => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('one line for the operator', () => {
  test('none for a Redis that will do', async () => {
    expect(await complaint(`redis://${await redisWith()}`)).toBeUndefined();
    const guarded = await redisWithPassword('hunter2');
    expect(await complaint(`redis://:hunter2@${guarded}`)).toBeUndefined();
  });

  test('a wrong, a missing and an unknown user’s password', async () => {
    const address = await redisWithPassword('right');
    const refused = `Redis at ${address} refuses the user name or the password; correct them in the Redis URL`;
    expect(await complaint(`redis://:hunter2@${address}`)).toBe(refused);
    expect(await complaint(`redis+cluster://:hunter2@${address}`)).toBe(refused);
    expect(await complaint(`redis://nobody:hunter2@${address}`)).toBe(refused);
    expect(await complaint(`redis://${address}`)).toBe(
      `Redis at ${address} asks for a password; put it into the Redis URL`,
    );
  });

  test.each(['redis', 'redis+cluster'])('nothing listens (%s)', async (scheme) => {
    const [port] = await freePorts(1);
    expect(await complaint(`${scheme}://:hunter2@127.0.0.1:${port}`)).toMatch(
      new RegExp(`^Redis at 127.0.0.1:${port} cannot be reached \\(.+\\); check that it runs`),
    );
  });

  test('no Sentinel answers', async () => {
    const [port] = await freePorts(1);
    expect(await complaint(`redis+sentinel://:hunter2@127.0.0.1:${port}/main`)).toMatch(
      /^Redis's Sentinels for "main" at 127.0.0.1:\d+ cannot be reached/,
    );
  });

  test('an eviction policy', async () => {
    const address = await redisWith('--maxmemory-policy', 'allkeys-lru');
    expect(await complaint(`redis://${address}`)).toMatch(/has maxmemory-policy allkeys-lru; set .* noeviction/);
  });

  test('a replica', async () => {
    const master = await redisWith();
    const address = await redisWith('--replicaof', master.replace(':', ' '));
    expect(await complaint(`redis://${address}`)).toContain('is a replica');
  });

  test('a Cluster reached by the wrong kind of URL, and the reverse', async () => {
    const node = await redisWith('--cluster-enabled', 'yes', '--cluster-port', String((await freePorts(1))[0]));
    expect(await complaint(`redis://${node}`)).toContain('use a redis+cluster:// URL');
    const single = await redisWith();
    expect(await complaint(`redis+cluster://${single}`)).toContain('is no Cluster; use a redis:// URL');
  });

  test('too old', async () => {
    const info = 'redis_version:6.2.14\r\nrole:master\r\nmaxmemory_policy:noeviction\r\n';
    expect(await complaint(`redis://${await serverWith(info)}`)).toMatch(/is version 6.2.14; .* 7.0 or later/);
  });

  test('still loading', async () => {
    expect(await complaint(`redis://${await serverWith(LOADING)}`)).toMatch(/is still loading its data; try again/);
  });

  test('none as soon as it has loaded, whatever it took itself to need', async () => {
    const info = 'redis_version:7.0.15\r\nrole:master\r\nmaxmemory_policy:noeviction\r\n';
    expect(await complaint(`redis://${await serverWith(LOADING, info)}`)).toBeUndefined();
  });
});
