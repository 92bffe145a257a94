import { hostname } from 'node:os';
import { LOG_LEVELS } from '../ops/logger.js';
import { parseRedisUrl, REDIS_URL_FORMS } from '../store/redis/url.js';
import { integer, listenAddress, oneOf, parsed, settingInfo, text } from './kinds.js';

/** A host's name as far as it can be part of a node id. */
function defaultNodeId(): string {
  const host = hostname().replace(/[^A-Za-z0-9._-]/g, '-');
  return `${host.slice(0, 48) || 'node'}-${process.pid}`;
}

const MAX_WORKERS = 64;

/** Where a node listens, what it is called and where state is kept. */
export const nodeSettings = {
  host: listenAddress().default('127.0.0.1').register(settingInfo, { help: 'address that the public port listens on' }),
  port: integer(0, 65_535).default(8080).register(settingInfo, { help: 'public port; 0 takes any free one' }),
  internalHost: listenAddress()
    .default('127.0.0.1')
    .register(settingInfo, { help: 'address that the port for health checks and metrics listens on' }),
  internalPort: integer(0, 65_535)
    .default(9090)
    .register(settingInfo, { help: 'port for health checks and metrics; 0 takes any free one' }),
  nodeId: text(/^[A-Za-z0-9._-]{1,64}$/, '1 to 64 characters out of A-Z a-z 0-9 . _ -')
    .default(defaultNodeId)
    .register(settingInfo, {
      help: 'name of this node, unlike that of any other',
      defaultText: 'host name and process id',
    }),
  workers: integer(1, MAX_WORKERS).default(1).register(settingInfo, {
    help: 'processes of serve that share the public port, each a node: <node id>-1 and so on',
  }),
  logLevel: oneOf(LOG_LEVELS)
    .default('info')
    .register(settingInfo, { help: 'least severe log lines that are written' }),

  redisUrl: parsed(`a Redis URL, such as ${REDIS_URL_FORMS[0]}`, parseRedisUrl).optional().register(settingInfo, {
    help: 'Redis that the nodes share: redis://, redis+sentinel:// or redis+cluster://, rediss for TLS (also HOLDFAST_REDIS_URL_FILE)',
    defaultText: 'memory, for a single node',
    fromFile: true,
  }),
  redisPrefix: text(/^[A-Za-z0-9._-]{1,32}$/, '1 to 32 characters out of A-Z a-z 0-9 . _ -')
    .default('hf')
    .register(settingInfo, { help: 'what all keys and channels in Redis begin with' }),
};
