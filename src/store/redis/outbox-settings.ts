import type { ScriptSettings } from './scripts.js';

/** For the stores whose steps tell the application. */
export interface OutboxSettings {
  /** After how long without owner and message a session counts as idle; 0: never. */
  sessionIdleMs: number;
}

/** What scripts/outbox.lua names in capitals. */
export function outboxLiterals(outbox: OutboxSettings | undefined): ScriptSettings {
  return { OUTBOX: outbox === undefined ? 0 : 1, IDLE_MS: outbox?.sessionIdleMs ?? 0 };
}
