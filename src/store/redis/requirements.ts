import type { Redis } from 'ioredis';
import { adviceOn } from './advice.js';
import type { RedisClient, RedisConnection } from './client.js';
import { messageOf, RedisRequirementError } from './errors.js';
import type { RedisTarget } from './url.js';

const MIN_MAJOR = 7;

/**
 * Checks every master: Redis 7.0 or later, a master, `noeviction`, reached by the right kind of URL.
 * @throws RedisRequirementError with one line on what to do
 */
export async function checkRequirements(connection: RedisConnection): Promise<void> {
  const masters = connection.masters();
  const infos = await Promise.all(
    masters.map((master) =>
      master.info().catch((error: unknown) => {
        throw new RedisRequirementError(explain(error, addressOf(master)));
      }),
    ),
  );
  for (const [i, master] of masters.entries()) check(infos[i] ?? '', addressOf(master), connection.kind);
}

/**
 * Does once what all verbs do: runs a script that writes and publishes. What the user is denied is said at the start;
 * what Redis cannot do just now, such as writing to a full disk, it may be able to do later.
 * @throws RedisRequirementError
 */
export async function checkRights({ commands, keys }: RedisConnection): Promise<void> {
  const script = "redis.call('SET', KEYS[1], '', 'PX', 1000) return redis.call('PUBLISH', KEYS[1], '')";
  await commands.eval(script, 1, keys.asked).catch((error: unknown) => {
    if (adviceOn(error).code === 'redis_permission') throw new RedisRequirementError(explain(error, 'Redis'));
  });
}

function addressOf({ options, stream }: Redis): string {
  // What the Sentinels named is known only to the socket.
  const { host, port } = options.sentinels ? { host: stream.remoteAddress, port: stream.remotePort } : options;
  return `Redis at ${host ?? 'localhost'}:${port ?? 6379}`;
}

function check(info: string, redis: string, kind: RedisTarget['kind']): void {
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
  const version = field('redis_version');
  const policy = field('maxmemory_policy');
  if (Number.parseInt(version, 10) < MIN_MAJOR) {
    throw new RedisRequirementError(`${redis} is version ${version}; Holdfast needs ${MIN_MAJOR}.0 or later`);
  }
  if (field('cluster_enabled') === '1' && kind !== 'cluster') {
    throw new RedisRequirementError(`${redis} is part of a Cluster; use a redis+cluster:// URL`);
  }
  if (field('role') !== 'master') {
    throw new RedisRequirementError(`${redis} is a replica; use the master's address or a redis+sentinel:// URL`);
  }
  if (policy !== 'noeviction') {
    const remedy = 'set maxmemory-policy noeviction, since an evicted record would lose a session its owner';
    throw new RedisRequirementError(`${redis} has maxmemory-policy ${policy}; ${remedy}`);
  }
}

function explain(error: unknown, redis: string): string {
  const { what, remedy } = adviceOn(error);
  return `${what.replace('Redis', redis)}; ${remedy}`;
}

/** Errors that another try will not mend. */
const FINAL = /WRONGPASS|NOAUTH|NOPERM|invalid (username-)?password|cluster support disabled|DB index/i;
/** What follows from an earlier error and explains nothing. */
const CONSEQUENCE = /Connection is closed\.|Stream isn't writeable/;

/** Resolves when the client can send commands; rejects on a final error, or with the last one after `withinMs`. */
export function firstReady(client: RedisClient, withinMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let last: Error | undefined;
    const settle = (done: () => void) => {
      clearTimeout(timer);
      client.off('ready', onReady).off('error', onError).off('node error', onError);
      done();
    };
    const onReady = () => settle(resolve);
    const onError = (error: Error) => {
      if (!CONSEQUENCE.test(messageOf(error))) last = error;
      if (FINAL.test(messageOf(error))) settle(() => reject(error));
    };
    const onInfo = (info: string) => {
      if (info.includes('\nloading:1')) last = new Error('LOADING');
    };
    const timer = setTimeout(async () => {
      // Connected and yet not ready: ioredis waits while Redis loads its data, and does not say so.
      if (client.status === 'connect') await client.info('persistence').then(onInfo, onError);
      settle(() => reject(last ?? new Error(`no answer within ${withinMs} ms`)));
    }, withinMs);
    client.on('ready', onReady).on('error', onError).on('node error', onError);
  });
}

/** Why the first connection failed, as a line for the operator. */
export function connectFault(error: unknown, { kind, nodes, name, tls }: RedisTarget): RedisRequirementError {
  const addresses = nodes.map(({ host, port }) => `${host}:${port}`).join(', ');
  const group = kind === 'sentinel' ? `'s Sentinels for "${name}"` : '';
  const silent = tls && /ETIMEDOUT|no answer/.test(messageOf(error));
  const hint = silent ? '; one that does not speak TLS never answers rediss://' : '';
  return new RedisRequirementError(`${explain(error, `Redis${group} at ${addresses}`)}${hint}`);
}
