export interface RedisTarget {
  kind: 'standalone' | 'sentinel' | 'cluster';
  tls: boolean;
  /** The server, the Sentinels, or some of the Cluster's nodes. */
  nodes: readonly { host: string; port: number }[];
  /** Sentinel: the name of the master group; else empty. */
  name: string;
  /** 0 in a Cluster. */
  db: number;
  username: string | undefined;
  password: string | undefined;
  sentinelUsername: string | undefined;
  sentinelPassword: string | undefined;
}

export const REDIS_URL_FORMS = [
  'redis://[user:password@]host[:port][/db]',
  'redis+sentinel://[user:password@]host[:port],…/name[/db][?sentinel_username=…&sentinel_password=…]',
  'redis+cluster://[user:password@]host[:port],…',
] as const;

const URL_PARTS = /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^/?#]*)@)?([^/?#@]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/;
const HOST = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/;
const GROUP_NAME = /^[\w.-]+$/;

/**
 * @throws TypeError that says what is wrong and what is allowed, and never repeats a credential
 */
export function parseRedisUrl(url: string): RedisTarget {
  const [whole, scheme, mode, userinfo, hosts = '', path = '', query = ''] = URL_PARTS.exec(url.trim()) ?? [];
  if (whole === undefined) throw fault('it has none of these forms');
  const kind = (mode ?? 'standalone') as RedisTarget['kind'];
  const nodes = hosts.split(',').map((host) => parseHost(host, kind));
  if (kind === 'standalone' && nodes.length > 1)
    throw fault('several hosts need redis+sentinel:// or redis+cluster://');
  const credentials = parseUserinfo(userinfo);
  const segments = path.split('/').filter((segment) => segment !== '');
  const name = kind === 'sentinel' ? (segments.shift() ?? '') : '';
  if (kind === 'sentinel' && !GROUP_NAME.test(name)) throw fault('the name of the master group is missing');
  const db = segments.shift() ?? '0';
  if (segments.length > 0 || !/^\d{1,5}$/.test(db)) throw fault('the database is not a number');
  if (kind === 'cluster' && db !== '0') throw fault('a Cluster has only database 0');
  const sentinel = parseQuery(query, kind);
  return { kind, tls: scheme === 'rediss', nodes, name, db: Number(db), ...credentials, ...sentinel };
}

function fault(what: string): TypeError {
  return new TypeError(
    `not a Redis URL: ${what}. Allowed: ${REDIS_URL_FORMS.join(', ')}; rediss in place of redis for TLS. ` +
      'Write special characters of a password as %XX',
  );
}

function parseHost(text: string, kind: RedisTarget['kind']): { host: string; port: number } {
  const [, ipv6, name, port] = HOST.exec(text) ?? [];
  const host = ipv6 ?? name;
  if (host === undefined) throw fault('a host is not of the form host[:port]');
  const number = port === undefined ? (kind === 'sentinel' ? 26_379 : 6379) : Number(port);
  if (number < 1 || number > 65_535) throw fault('a port is not between 1 and 65535');
  return { host, port: number };
}

function parseUserinfo(userinfo: string | undefined): Pick<RedisTarget, 'username' | 'password'> {
  if (userinfo === undefined) return { username: undefined, password: undefined };
  const colon = userinfo.indexOf(':');
  if (colon === -1) throw fault('there is a user without a password');
  const username = decode(userinfo.slice(0, colon));
  return { username: username === '' ? undefined : username, password: decode(userinfo.slice(colon + 1)) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw fault('the user or the password has a % that is no %XX');
  }
}

function parseQuery(
  query: string,
  kind: RedisTarget['kind'],
): Pick<RedisTarget, 'sentinelUsername' | 'sentinelPassword'> {
  const parameters = new URLSearchParams(query);
  for (const key of parameters.keys()) {
    const known = kind === 'sentinel' && (key === 'sentinel_username' || key === 'sentinel_password');
    if (!known) throw fault('it has a parameter that is not known');
  }
  return {
    sentinelUsername: parameters.get('sentinel_username') ?? undefined,
    sentinelPassword: parameters.get('sentinel_password') ?? undefined,
  };
}
