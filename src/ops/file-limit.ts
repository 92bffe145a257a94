/** How many files the process may have open. A connection is one. */
import { readFileSync } from 'node:fs';

/** Below it a node cannot even be loaded reliably. */
export const MIN_FILES = 128;

/** The soft limit, which Node has raised to the hard one; undefined where it is not known. */
export function fileLimit(path = '/proc/self/limits'): number | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  const [, soft] = /^Max open files\s+(\d+)\s/m.exec(text) ?? [];
  return soft === undefined ? undefined : Number(soft);
}

/** Of the process itself: modules, its logs, Redis, health checks, and connections whose upgrade is refused. */
const OWN_FILES = 64;

/**
 * How many of the connections asked for the files suffice for.
 * @param limit undefined where it is not known
 * @param outgoing calls of the application at a time
 */
export function connectionsWithin(wanted: number, limit: number | undefined, outgoing = 0): number {
  if (limit === undefined) return wanted;
  return Math.min(wanted, Math.max(Math.floor(limit / 4), limit - OWN_FILES - outgoing));
}
