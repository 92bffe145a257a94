import { EVENT_FIELDS } from '../../login/machine.js';
import type { LoginEvent, LoginRecord } from '../../login/ports.js';

type Field = keyof typeof EVENT_FIELDS;

/** In the order of login-record.lua, whose answers begin with the result and the login's id. */
const FIELDS = Object.keys(EVENT_FIELDS) as Field[];
const FIRST_FIELD = 2;

/** The record of an answer; undefined for one that has none. */
export function recordOf(handle: string, reply: readonly string[]): LoginRecord | undefined {
  const loginId = reply[1];
  if (loginId === undefined) return undefined;
  const text = (name: Field) => reply[FIRST_FIELD + FIELDS.indexOf(name)] ?? '';
  const number = (name: Field) => Number(text(name));
  return {
    loginId,
    handle,
    principal: text('principal'),
    attributes: text('attributes'),
    rights: text('rights'),
    createdAtMs: number('created_at'),
    lastSeenAtMs: number('last_seen_at'),
    expiresAtMs: number('expires_at'),
    maxExpiresAtMs: number('max_expires_at'),
    generation: number('generation'),
    state: text('state') as LoginRecord['state'],
    endedAtMs: number('ended_at'),
    endReason: text('end_reason') as LoginRecord['endReason'],
  };
}

/** What login-read.lua adds to the record. */
export function principalHandleOf(reply: readonly string[]): string {
  return reply[FIRST_FIELD + FIELDS.length] ?? '';
}

/** An entry of an audit stream. */
export function eventOf([id, flat]: readonly [id: string, flat: readonly string[]]): LoginEvent {
  const entry: Record<string, string> = {};
  for (let i = 0; i < flat.length; i += 2) entry[flat[i] ?? ''] = flat[i + 1] ?? '';
  const { at, handle = '', kind, ...fields } = entry;
  return { id, atMs: Number(at), handle, kind: kind as LoginEvent['kind'], fields };
}
