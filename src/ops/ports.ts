/** What the operation of several nodes needs of a store: that they know of each other, and can be told what to do. */
import type { NoticeLog } from '../lib/notice-log.js';

/** `draining`: it takes no connections and closes those that it has. `drained`: it has none left, and takes none. */
export type NodeState = 'ready' | 'not_ready' | 'draining' | 'drained';

/** One process of a node: another one after a restart. */
export interface NodeRef {
  nodeId: string;
  bootId: string;
}

/** What a node says of itself. */
export interface NodeReport extends NodeRef {
  version: string;
  state: NodeState;
  connections: number;
  leases: number;
  /** Of the last rebalance that it was asked for. */
  shedding?: Shedding;
  /** Nodes with the same settings have the same. */
  configFingerprint: string;
  /** Absent where a node makes up its secrets, or is of a version that did not tell. */
  keys?: KeyPrints;
}

/** Fingerprints of the keys with which a node signs its tokens, and of those by which it verifies them. */
export interface KeyPrints {
  signs: readonly string[];
  verifies: readonly string[];
}

export interface Shedding {
  /** As in the directive. */
  id: string;
  /** Connections that are still to be closed. */
  left: number;
}

export interface ListedNode extends NodeReport {
  /** How long ago it was last heard of, by the store's clock. */
  silentMs: number;
}

/** The nodes that say that they are there. */
export interface NodeRegistry {
  /** @returns the store's time, in ms since 1970 */
  beat(report: NodeReport): Promise<number>;
  /** The node ends. */
  leave(node: NodeRef): Promise<void>;
  /** By name; those that have been silent for an hour are forgotten. */
  list(): Promise<ListedNode[]>;
}

/** A node says at least so often that it is there. */
export const BEAT_EVERY_MS = 5_000;
/** A node counts as lost that has been silent for so long. */
export const LOST_AFTER_MS = 15_000;
/** Until it is forgotten. */
export const FORGET_AFTER_MS = 3_600_000;

/** What is wrong with the store, for whoever runs it. */
export interface Advice {
  /** Stable, such as `redis_read_only`. */
  code: string;
  what: string;
  remedy: string;
  /** What the store said. */
  cause: string;
}

/** What one process of a node is asked to do; its successor is not. */
export type NodeDirective =
  | { kind: 'node_drain'; bootId: string }
  | { kind: 'node_undrain'; bootId: string }
  /** Close `count` connections, at that rate. In place of an earlier one. */
  | { kind: 'node_shed'; bootId: string; id: string; count: number; perSecond: number };

export type DirectiveLog = NoticeLog<NodeDirective>;
