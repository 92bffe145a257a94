import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../src/lib/log.js';
import { HoldfastError } from '../../src/protocol/errors.js';
import { createBackend } from '../../src/server/index.js';
import { pageListener, pageMounts } from '../../src/transport/page.js';
import { SECRETS } from '../../test/support/gateway-process.js';
import { type Context, runCommand } from './commands.js';

const DIST = new URL('../../dist/', import.meta.url);
const RESTART_MS = 3_000;

/** The page's server, as the application's would be: behind the same load balancer, with an API key. */
export class PageServer {
  readonly #server: Server;
  readonly #stopped = new AbortController();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** It listens, so that the load balancer can be told where, and answers once it serves. */
  static async listen(): Promise<PageServer> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new PageServer(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  serve(context: Context): void {
    const { cluster, tell } = context;
    const { createLogin, revokeLogin } = createBackend({
      url: cluster.haproxy.url,
      apiKey: SECRETS.HOLDFAST_API_KEY,
    });
    const complain: Log['error'] = (_fields, message) => tell(`page: ${message}`);
    const log: Log = { debug() {}, info() {}, warn: complain, error: complain };
    const listener = pageListener({
      page: pageMounts(DIST),
      origins: { allowed: [], allowLoopback: true },
      logins: { create: (login) => createLogin(login), revoke: (id) => revokeLogin(id) },
      killNode: (nodeId) => this.#killNode(nodeId, context),
      log,
    });
    this.#server.on('request', listener);
  }

  stop(): void {
    this.#stopped.abort();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** As typed, and started again after a while. One that does not run is left alone. */
  async #killNode(nodeId: string, context: Context): Promise<void> {
    const { cluster, tell } = context;
    const index = cluster.nodes.findIndex((node) => node.nodeId === nodeId);
    if (index < 0) throw new HoldfastError('not_found', `There is no node ${nodeId}`);
    if (!cluster.node(index).running) return;
    await runCommand(`kill ${index + 1}`, context);
    const { signal } = this.#stopped;
    sleep(RESTART_MS, undefined, { signal })
      .then(() => runCommand(`start ${index + 1}`, context))
      .catch((error: Error) => {
        if (!signal.aborted) tell(error.message);
      });
  }
}
