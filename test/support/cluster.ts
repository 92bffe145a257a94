import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { GatewayProcess } from './gateway-process.js';
import { type Haproxy, startHaproxy } from './haproxy.js';
import { violationsIn } from './invariants.js';
import { freePorts } from './ports.js';
import { type ConnectOptions, RawClient } from './raw-client.js';
import { type PrivateRedis, type PrivateRedisOptions, startPrivateRedis } from './redis-process.js';
import { TcpProxy } from './tcp-proxy.js';

export interface ClusterOptions {
  /** Default 3. */
  nodes?: number;
  /** Default 1 500. */
  graceMs?: number;
  /** Puts HAProxy in front of the nodes; of a page too, which is served by whoever listens on `pagePort`. */
  haproxy?: boolean | { pagePort: number };
  /** Where HAProxy listens, for those who have to name its address to the nodes. */
  haproxyPort?: number;
  /** Puts a TCP proxy of its own between each node and Redis. */
  proxied?: boolean;
  /** A Redis deployment that the caller runs; without it a private one is started. */
  redisUrl?: string;
  /** The same, with a way of its own for each node. */
  redisUrls?: readonly string[];
  redis?: PrivateRedisOptions;
  /** The program of each node, where they are of several versions. */
  mains?: readonly string[];
  /** Further arguments of every node. */
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** HAProxy here, node i on 1 + i and its internal port on 101 + i; free ports without it. */
  basePort?: number;
}

/** Several gateway nodes over one Redis. Stops whatever it started; what it started dies with this process. */
export class GatewayCluster {
  readonly nodes: GatewayProcess[] = [];
  readonly graceMs: number;
  /** Every connection made through `connect` since the last `endTest`. */
  clients: RawClient[] = [];
  readonly #options: ClusterOptions;
  readonly #proxies: TcpProxy[] = [];
  #redis: PrivateRedis | undefined;
  #haproxy: Haproxy | undefined;

  private constructor(options: ClusterOptions) {
    this.#options = options;
    this.graceMs = options.graceMs ?? 1_500;
  }

  static async start(options: ClusterOptions = {}): Promise<GatewayCluster> {
    const cluster = new GatewayCluster(options);
    try {
      await cluster.#start();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** How long a session of a node that died is owned at most; the gateway adds a third to the grace period. */
  get leaseMs(): number {
    return Math.ceil((this.graceMs * 4) / 3);
  }

  get redis(): PrivateRedis {
    if (this.#redis === undefined) throw new Error('the cluster has no Redis of its own');
    return this.#redis;
  }

  get haproxy(): Haproxy {
    if (this.#haproxy === undefined) throw new Error('the cluster has no HAProxy');
    return this.#haproxy;
  }

  node(index: number): GatewayProcess {
    const node = this.nodes[index];
    if (node === undefined) throw new Error(`there is no node ${index}`);
    return node;
  }

  /** The TCP proxy between that node and Redis. */
  proxy(index: number): TcpProxy {
    const proxy = this.#proxies[index];
    if (proxy === undefined) throw new Error(`there is no proxy ${index}`);
    return proxy;
  }

  /** Connects to a node by its index, through HAProxy, or to an address. */
  async connect(to: number | 'haproxy' | { url: string }, options: ConnectOptions = {}): Promise<RawClient> {
    const url = typeof to === 'object' ? to.url : to === 'haproxy' ? this.haproxy.connectUrl : this.node(to).connectUrl;
    const client = await RawClient.connect(url, options);
    this.clients.push(client);
    return client;
  }

  /** The node that serves a connection. */
  servedBy(client: RawClient): GatewayProcess {
    const node = this.nodes.find(({ nodeId }) => nodeId === client.welcome.node);
    if (node === undefined) throw new Error(`${client.welcome.node} is not a node of this cluster`);
    return node;
  }

  /** Brings back whatever a test paused or killed. */
  async heal(): Promise<void> {
    this.#redis?.resume();
    for (const proxy of this.#proxies) {
      proxy.delay(0);
      proxy.resume();
    }
    await Promise.all(
      this.nodes.map(async (node) => {
        node.resume();
        if (node.running) await node.untilReady();
        else await node.start();
      }),
    );
  }

  /**
   * Cuts the test's connections and checks what must hold after every test.
   * @throws Error when a node ended by itself or a history breaks an invariant
   */
  endTest(): void {
    const { clients } = this;
    this.clients = [];
    for (const client of clients) client.terminate();
    for (const node of this.nodes) node.check();
    const violations = violationsIn(clients);
    if (violations.length > 0) throw new Error(`invariants broken:\n${violations.join('\n')}`);
  }

  /** The last lines of every node's log. */
  logs(): string {
    return this.nodes.map((node) => `--- ${node.nodeId}\n${node.tail(15)}`).join('\n');
  }

  async stop(): Promise<void> {
    for (const client of this.clients) client.terminate();
    await this.#haproxy?.stop();
    await Promise.all(this.nodes.map((node) => node.kill()));
    await Promise.all(this.#proxies.map((proxy) => proxy.stop()));
    await this.#redis?.stop();
  }

  async #start(): Promise<void> {
    const { nodes: count = 3, args = [], env = {}, basePort } = this.#options;
    if (basePort !== undefined) await requireFree([basePort, ...portsOf(basePort, count)]);
    const { redisUrl: sharedUrl, redisUrls, mains = [] } = this.#options;
    if (sharedUrl === undefined && redisUrls === undefined) this.#redis = await startPrivateRedis(this.#options.redis);
    const redisPrefix = `hft-${randomUUID().slice(0, 8)}`;
    const ports = basePort === undefined ? await freePorts(2 * count) : portsOf(basePort, count);
    for (let i = 0; i < count; i += 1) {
      const redisUrl = sharedUrl ?? redisUrls?.[i] ?? (await this.#redisUrlOf(i));
      const options = { nodeId: `n${i + 1}`, redisUrl, redisPrefix, graceMs: this.graceMs, args, env, main: mains[i] };
      const [port = 0, internalPort = 0] = ports.slice(2 * i);
      this.nodes.push(new GatewayProcess(options, port, internalPort));
    }
    await Promise.all(this.nodes.map((node) => node.start()));
    const { haproxy = false } = this.#options;
    if (haproxy === false) return;
    const backends = this.nodes.map(({ nodeId, port, internalPort }) => ({ name: nodeId, port, internalPort }));
    const { pagePort } = haproxy === true ? {} : haproxy;
    this.#haproxy = await startHaproxy(backends, { port: this.#options.haproxyPort ?? basePort, pagePort });
  }

  async #redisUrlOf(index: number): Promise<string> {
    if (this.#options.proxied !== true) return this.redis.url;
    const proxy = await TcpProxy.start(this.redis.port);
    this.#proxies[index] = proxy;
    return `redis://127.0.0.1:${proxy.port}`;
  }
}

/** The public and the internal port of each node in turn. */
function portsOf(basePort: number, nodes: number): number[] {
  return Array.from({ length: nodes }, (_, i) => [basePort + 1 + i, basePort + 101 + i]).flat();
}

async function requireFree(ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening').catch((error: NodeJS.ErrnoException) => {
      throw new Error(`port ${port} cannot be had (${error.code}); choose others with another base port`);
    });
    await once(server.close(), 'close');
  }
}
