import { FORGET_AFTER_MS, type ListedNode, type NodeRef, type NodeRegistry, type NodeReport } from '../../ops/ports.js';
import { byName } from '../nodes.js';
import type { RedisConnection } from './client.js';
import { call } from './errors.js';
import { type ScriptName, Scripts } from './scripts.js';

/** The nodes of a deployment, with what they say as JSON. */
export class RedisNodeRegistry implements NodeRegistry {
  readonly #connection: RedisConnection;
  readonly #scripts: Scripts;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
    this.#scripts = new Scripts(connection.commands, {});
  }

  async beat(report: NodeReport): Promise<number> {
    return (await this.#run('node-beat', [memberOf(report), JSON.stringify(report), FORGET_AFTER_MS])) as number;
  }

  async leave(node: NodeRef): Promise<void> {
    await this.#run('node-leave', [memberOf(node)]);
  }

  async list(): Promise<ListedNode[]> {
    const listed = (await this.#run('node-list', [FORGET_AFTER_MS])) as [said: string, silentMs: number][];
    const nodes = listed.map(([said, silentMs]) => Object.assign(JSON.parse(said) as NodeReport, { silentMs }));
    return nodes.sort(byName);
  }

  #run(name: ScriptName, args: readonly (string | number)[]): Promise<unknown> {
    const { keys, telemetry } = this.#connection;
    return call(telemetry, name, () => this.#scripts.run(name, [keys.nodes, keys.nodeReports], args));
  }
}

function memberOf({ nodeId, bootId }: NodeRef): string {
  return `${nodeId}|${bootId}`;
}
