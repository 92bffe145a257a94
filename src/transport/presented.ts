/** The credential that an upgrade request presents: one at most, in one place. */
import type { IncomingMessage } from 'node:http';
import { HoldfastError } from '../protocol/errors.js';
import { TICKET_SUBPROTOCOL } from '../protocol/messages.js';

export interface Presented {
  kind: 'ticket' | 'bearer';
  /** Empty where the header or parameter holds none. */
  value: string;
}

const BEARER = /^Bearer +([^ ]+) *$/i;

/** The bearer token, or undefined where the header is none. */
export function bearerToken(request: IncomingMessage): string | undefined {
  return BEARER.exec(request.headers.authorization ?? '')?.[1];
}

/**
 * @param accepts undefined where no credential is looked at
 * @throws HoldfastError `multiple_credentials`; `invalid_field` for a query that may not be there
 */
export function presentedBy(
  request: IncomingMessage,
  accepts: { ticketInUrl: boolean } | undefined,
): Presented | undefined {
  const inQuery = queryTickets(request, accepts?.ticketInUrl === true);
  if (accepts === undefined) return undefined;
  const tickets = [...offeredTickets(request), ...inQuery];
  const headers = request.headers.authorization === undefined ? [] : request.headersDistinct['authorization'];
  if (tickets.length + (headers?.length ?? 0) > 1) {
    throw new HoldfastError('multiple_credentials', 'Present one credential, in one place');
  }
  const [ticket] = tickets;
  if (ticket !== undefined) return { kind: 'ticket', value: ticket };
  return headers?.length === 1 ? { kind: 'bearer', value: bearerToken(request) ?? '' } : undefined;
}

function offeredTickets(request: IncomingMessage): string[] {
  const offered = request.headers['sec-websocket-protocol'];
  if (offered?.includes(TICKET_SUBPROTOCOL) !== true) return [];
  const tickets = offered.split(',').map((protocol) => protocol.trim());
  return tickets.flatMap((it) => (it.startsWith(TICKET_SUBPROTOCOL) ? [it.slice(TICKET_SUBPROTOCOL.length)] : []));
}

function queryTickets({ url = '' }: IncomingMessage, ticketInUrl: boolean): string[] {
  const start = url.indexOf('?');
  if (start === -1) return [];
  const parameters = [...new URLSearchParams(url.slice(start))];
  if (ticketInUrl && parameters.every(([name]) => name === 'ticket')) return parameters.map(([, value]) => value);
  const message = ticketInUrl
    ? 'the query must be nothing but ticket'
    : 'there must be no query: URLs end up in logs, so credentials go into headers';
  throw new HoldfastError('invalid_field', message, { field: 'query' });
}
