import { describe, expect, it } from 'vitest';
import type { ConnectionState } from '../../src/client/connection.js';
import type { ClientErrorCode } from '../../src/client/errors.js';
import type { StateName, StopReason } from '../../src/client/session-state.js';
import { CLOSE_CODES, closeAction } from '../../src/protocol/close-codes.js';
import { ERROR_CODES, type ErrorCode } from '../../src/protocol/error-codes.js';
import { quoted, tableBelow, textOf } from './markdown.js';

const DOC = 'docs/states.md';
const ACTIONS = { stop: /^stops/, back_off: /^comes back/, refresh_login: /^refreshes/, reconnect: /^comes back/ };

/** Total by their types: what the client names and these do not is an error of the compiler. */
const STATES: Record<StateName, true> = {
  idle: true,
  connecting: true,
  watching: true,
  held_by_other: true,
  owner: true,
  unconfirmed: true,
  reconnecting: true,
  stopped: true,
};
const REASONS: Record<StopReason, true> = {
  unsubscribed: true,
  closed: true,
  gateway: true,
  refused: true,
  removed: true,
  forbidden: true,
};
const CONNECTION: Record<ConnectionState['name'], true> = {
  connecting: true,
  open: true,
  waiting: true,
  paused: true,
  stopped: true,
};
const OWN_ERRORS: Record<Exclude<ClientErrorCode, ErrorCode>, true> = {
  timeout: true,
  queue_full: true,
  stopped: true,
  connect_failed: true,
  renewal_failed: true,
  unreachable: true,
  unexpected_answer: true,
  superseded: true,
};

const names = (heading: string, column = 0): string[] =>
  tableBelow(DOC, heading).flatMap((cells) => quoted(cells[column] ?? ''));

describe('the page about states', () => {
  it.each([
    ['## States of a session', STATES],
    ['### Why a session stopped', REASONS],
    ['## States of the connection', CONNECTION],
    ['## Errors of the client', OWN_ERRORS],
  ])('names under "%s" exactly what there is', (heading, known) => {
    expect(names(heading).toSorted()).toEqual(Object.keys(known).toSorted());
  });

  it('names each close code with its number and what the client does about it', () => {
    const rows = tableBelow(DOC, '## Close codes');
    const codes = rows.map(([code, name = '']) => [quoted(name)[0], Number(code)]);
    expect(Object.fromEntries(codes)).toEqual(CLOSE_CODES);
    for (const [code, , , does = ''] of rows) expect(does).toMatch(ACTIONS[closeAction(Number(code))]);
  });

  it('names each error of the gateway once, either with what to do about it or as none of a page', () => {
    const others = textOf(DOC).split('does not meet the others')[1] ?? '';
    const all = [...names('## Errors of the gateway'), ...quoted(others)];
    expect(all.toSorted()).toEqual(Object.keys(ERROR_CODES).toSorted());
  });
});
