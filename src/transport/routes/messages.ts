/**
 * Publishing, for the application's backend. It is the one route that is asked thousands of times a second, and express
 * would cost more than all the rest of a request, so this handles the plain request.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '../../lib/log.js';
import { HoldfastError } from '../../protocol/errors.js';
import type { PublishResult } from '../../protocol/http.js';
import { refuse } from '../../protocol/validate.js';
import { notAllowed, sendError, sendJson, sendJsonText } from '../answers.js';
import type { BackendGuard } from '../backend.js';
import { readJson } from '../json-body.js';
import { publishRequest, sessionIdOf } from '../message-requests.js';
import type { SessionsApi } from '../sessions-api.js';

const MAX_BODY_BYTES = 4 * 1024 * 1024;
const EVERY_SESSION = '/v1/messages';
const ONE_SESSION = /^\/v1\/sessions\/([^/]+)\/messages$/;

/** Where messages are published, as openapi.yaml writes it. */
export const PUBLISH_PATHS = [EVERY_SESSION, '/v1/sessions/{session_id}/messages'] as const;

/** @returns whether the request was for it, and is answered by it */
export type PlainRoute = (request: IncomingMessage, response: ServerResponse) => boolean;

/** `POST /v1/messages` and `POST /v1/sessions/{id}/messages`. */
export function publishRoute(sessions: SessionsApi, guard: BackendGuard, log: Log): PlainRoute {
  async function answer(request: IncomingMessage, response: ServerResponse, encodedId?: string): Promise<void> {
    guard(request);
    if (request.method !== 'POST') return notAllowed(response, request.method, 'POST');
    const sessionId = encodedId === undefined ? undefined : decodedId(encodedId);
    const body = await readJson(request, MAX_BODY_BYTES);
    const { messages, single } = publishRequest(body, idempotencyKeyOf(request), sessionId);
    const results = await sessions.publish(messages);
    // Subscribers first: they are written to at the end of this turn at the latest.
    await new Promise((resolve) => setImmediate(resolve));
    if (single) sendJson(response, published(results));
    else sendJsonText(response, resultsText(results));
  }

  return (request, response) => {
    const [path = ''] = (request.url ?? '').split('?', 1);
    const encodedId = ONE_SESSION.exec(path)?.[1];
    if (path !== EVERY_SESSION && encodedId === undefined) return false;
    answer(request, response, encodedId).catch((error: unknown) => sendError(response, error, log));
    return true;
  };
}

function decodedId(encoded: string): string {
  try {
    return sessionIdOf(decodeURIComponent(encoded));
  } catch (error) {
    if (error instanceof URIError) refuse('session_id', 'percent-encoded UTF-8');
    throw error;
  }
}

/** Given twice it is joined by a comma and a space, which no key has. */
function idempotencyKeyOf({ headers }: IncomingMessage): string | undefined {
  return headers['idempotency-key'] as string | undefined;
}

/** As `JSON.stringify` has it, in a tenth of the time: ids and epochs need no escapes, and are mostly those before. */
function resultsText(results: readonly PublishResult[]): string {
  let text = '';
  let [session, streamEpoch, start, end] = ['', '', '', ''];
  for (const result of results) {
    if (text !== '') text += ',';
    if ('error' in result || result.duplicate !== undefined) {
      text += JSON.stringify(result);
      continue;
    }
    const { session_id, offset, epoch } = result;
    if (session_id !== session || epoch !== streamEpoch) {
      [session, streamEpoch] = [session_id, epoch];
      [start, end] = [`{"session_id":"${session_id}","offset":`, `,"epoch":"${epoch}"}`];
    }
    text += start + offset + end;
  }
  return `{"results":[${text}]}`;
}

/** @throws HoldfastError why the only message was refused */
function published([result]: readonly PublishResult[]): PublishResult {
  if (result === undefined) throw new RangeError('a message without a result');
  if ('error' in result) throw new HoldfastError(result.error.code, result.error.message);
  return result;
}
