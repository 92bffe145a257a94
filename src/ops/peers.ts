import type { Log } from '../lib/log.js';
import type { Readiness } from './health.js';
import { type KeyPrints, type ListedNode, LOST_AFTER_MS, type NodeRegistry } from './ports.js';

export interface PeersOptions {
  registry: Pick<NodeRegistry, 'list'>;
  bootId: string;
  /** Absent where the node makes up its secrets: then nobody else can have them. */
  keys: KeyPrints | undefined;
  log: Log;
}

const LOOK_EVERY_MS = 10_000;
const SHOWN = 5;

/**
 * Notices nodes with other secrets: each refuses the tokens of the other, so a client that comes back through the load
 * balancer loses its session by chance. Keys that are replaced one after the other, as `kid:secret` lists, never differ
 * in this sense: each node verifies what any other signs.
 */
export class Peers {
  readonly #options: PeersOptions;
  #timer: NodeJS.Timeout | undefined;
  /** Their names. */
  #differing: string[] = [];
  /** The nodes that were ready before this one have other secrets, all of them: it is this one that is wrong. */
  #outvoted = false;
  /** No other node was ready at the last look. */
  #alone = false;
  /** It was not, when it first looked or later: from then on it may be one of those by which others are judged. */
  #settled = false;

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /** Resolves after the first look. */
  async start(): Promise<void> {
    if (this.#options.keys === undefined) return;
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS).unref();
    await this.look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  verdict(): Readiness {
    const faults = this.#differing.length > 0 ? ['secrets_differ'] : [];
    return this.#outvoted ? { reasons: faults, degraded: [] } : { reasons: [], degraded: faults };
  }

  async look(): Promise<void> {
    const { bootId, keys, log, registry } = this.#options;
    if (keys === undefined) return;
    // What is not known while the store is away was known before.
    const nodes = await registry.list().catch(() => undefined);
    if (nodes === undefined) return;
    const others = nodes.filter((node) => node.bootId !== bootId && node.silentMs <= LOST_AFTER_MS);
    const ready = others.filter(({ state }) => state === 'ready');
    const wasAlone = this.#alone;
    this.#alone = ready.length === 0;
    // After an outage of the store the others are not listed at once: until the next look it is as wrong as it was.
    if (this.#outvoted && this.#alone && !wasAlone) return;
    const names = others.filter((node) => differ(keys, node)).map(({ nodeId }) => nodeId);
    const outvoted = !this.#settled && !this.#alone && ready.every((node) => differ(keys, node));
    this.#outvoted = outvoted;
    this.#settled ||= !outvoted;
    const before = this.#differing;
    this.#differing = names;
    if (names.length === 0 && before.length > 0)
      log.info({ code: 'secrets_differ' }, 'all nodes have the same secrets');
    if (names.length === 0 || before.length > 0) return;
    const fields = { code: 'secrets_differ', nodes: names.slice(0, SHOWN), count: names.length };
    const line = outvoted
      ? 'the nodes that are ready have other secrets; this one is not ready: give it their HOLDFAST_SECRET'
      : 'nodes have other secrets and refuse the tokens of this one: give all the same HOLDFAST_SECRET';
    log.error(fields, line);
  }
}

function differ(own: KeyPrints, { keys }: ListedNode): boolean {
  if (keys === undefined) return false;
  return (
    !own.signs.every((key) => keys.verifies.includes(key)) || !keys.signs.every((key) => own.verifies.includes(key))
  );
}
