/** The nodes of one deployment, as commands reach them from anywhere: through their Redis. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { ConfigError } from '../config/load.js';
import { envName, flagName } from '../config/names.js';
import type { SettingName } from '../config.js';
import { BEAT_EVERY_MS, type ListedNode, LOST_AFTER_MS, type NodeDirective, type NodeRegistry } from '../ops/ports.js';
import { connectRedis } from '../store/redis/client.js';
import { RedisControlLog } from '../store/redis/control-log.js';
import { RedisNodeRegistry } from '../store/redis/node-registry.js';
import { CommandFailure } from './failure.js';
import { addSettings, readSettings } from './settings.js';

const USED = ['redisUrl', 'redisPrefix'] as const satisfies SettingName[];
const POLL_EVERY_MS = 250;
/** A node reads its directives twice a second, and says as often what came of them. */
const HEEDED_WITHIN_MS = 15_000;
/** Who lives has said so in that time. */
const SURELY_HEARD_MS = BEAT_EVERY_MS + 1_000;

/** How long the store may be away while a command looks on. */
const AWAY_MS = 20_000;
const RETURN_MS = 2_000;

export interface Fleet {
  nodes: Pick<NodeRegistry, 'list'>;
  tell(directive: NodeDirective): Promise<void>;
}

export function isLost({ silentMs }: ListedNode): boolean {
  return silentMs > LOST_AFTER_MS;
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Lists the nodes also after the store was away for a while, as in a failover. */
export function patient(nodes: Fleet['nodes'], pause: (ms: number) => Promise<unknown> = sleep): Fleet['nodes'] {
  const answered = async (leftMs: number): Promise<void> => {
    try {
      await nodes.list();
    } catch (error) {
      if (leftMs <= 0) throw error;
      await pause(RETURN_MS);
      await answered(leftMs - RETURN_MS);
    }
  };
  const again = async () => {
    await answered(AWAY_MS);
    // Until the nodes have been heard of they look lost.
    await pause(RETURN_MS);
    return nodes.list();
  };
  return { list: () => nodes.list().catch(again) };
}

/** Gives a command the settings by which it finds the nodes, and what it does with them. */
export function fleetCommand(command: Command, work: (fleet: Fleet, ...args: string[]) => Promise<void>): Command {
  return addSettings(command, {}, USED).action(async (...args: unknown[]) => {
    const { redisUrl, redisPrefix: prefix } = readSettings(command, {}, USED).config;
    if (redisUrl === undefined) {
      const names = `${flagName('redisUrl')} or ${envName('redisUrl')}`;
      throw new ConfigError([
        `${names} is missing: nodes are found, and told what to do, through the Redis they share`,
      ]);
    }
    const quiet = () => {};
    const connection = await connectRedis(redisUrl, {
      prefix,
      log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
      telemetry: { command: quiet, connection: quiet, gap: quiet, probe: quiet },
    });
    const directives = new RedisControlLog<NodeDirective>(connection);
    try {
      const names = args.filter((arg) => typeof arg === 'string');
      await work(
        { nodes: patient(new RedisNodeRegistry(connection)), tell: (one) => directives.append(one) },
        ...names,
      );
    } finally {
      await connection.close();
    }
  });
}

/** @throws CommandFailure when there is no node of that name, or more than one */
export async function findNode({ nodes }: Fleet, nodeId: string): Promise<ListedNode> {
  for (let waitedMs = 0; ; waitedMs += POLL_EVERY_MS) {
    const live = (await nodes.list()).filter((node) => !isLost(node));
    const called = live.filter((node) => node.nodeId === nodeId).sort((a, b) => a.silentMs - b.silentMs);
    const [latest, other] = called;
    if (latest === undefined) throw noSuchNode(nodeId, live);
    if (other === undefined || other.silentMs > SURELY_HEARD_MS) return latest;
    if (other.silentMs < waitedMs)
      throw new CommandFailure(`more than one node is called ${nodeId}: names must differ`);
    // One that was killed is listed for a while beside the one that was started in its place.
    await sleep(POLL_EVERY_MS);
  }
}

function noSuchNode(nodeId: string, live: readonly ListedNode[]): CommandFailure {
  const names = live.map((node) => node.nodeId).join(', ');
  return new CommandFailure(`there is no node ${nodeId}${names === '' ? ', nor any other' : `; there are ${names}`}`);
}

export interface Followed {
  /** What to tell; printed when it changes. */
  line: string;
  /** The node shows that it heard what it was told. */
  heeded: boolean;
  done: boolean;
}

/**
 * Prints how a node comes along until it is done, or has ended.
 * @param look what to make of it
 * @throws CommandFailure when it is lost or does not heed what it was told
 */
export async function follow(
  { nodes }: Fleet,
  { nodeId, bootId }: ListedNode,
  look: (node: ListedNode) => Followed,
): Promise<void> {
  let endMs = performance.now() + HEEDED_WITHIN_MS;
  let missedMs: number | undefined;
  for (let printed = ''; ; await sleep(POLL_EVERY_MS)) {
    const node = (await nodes.list()).find((one) => one.bootId === bootId);
    const nowMs = performance.now();
    if (node === undefined) {
      // A store that lost its data lost the list; who lives is on it again with the next beat.
      missedMs ??= nowMs;
      if (nowMs - missedMs > SURELY_HEARD_MS) return say(`${nodeId} has ended`);
      continue;
    }
    missedMs = undefined;
    if (isLost(node)) throw new CommandFailure(`${nodeId} has not been heard of for ${LOST_AFTER_MS / 1_000} s`);
    const { line, heeded, done } = look(node);
    if (heeded && line !== printed) say(line);
    if (heeded) [printed, endMs] = [line, nowMs + SURELY_HEARD_MS];
    if (done) return;
    if (heeded || nowMs <= endMs) continue;
    throw new CommandFailure(`${nodeId} ${printed === '' ? 'does not do as it was told' : 'was told otherwise since'}`);
  }
}

/** Ctrl-C ends the command, and not what it has begun. */
export function onInterrupt(line: string): void {
  process.once('SIGINT', () => {
    process.stderr.write(`\nholdfast: ${line}\n`);
    process.exit(1);
  });
}
