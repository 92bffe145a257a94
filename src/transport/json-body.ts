/** Request bodies: a JSON object of at most 16 KiB, or none. Of keys that occur twice the last counts. */
import express, { type Request, type RequestHandler } from 'express';
import { isObject, type JsonObject, refuse } from '../protocol/validate.js';

const MAX_BYTES = 16 * 1024;
const RULE = 'a JSON object (Content-Type: application/json)';

/** A form or text is refused and not skipped: pages of any origin can send those without a preflight. */
const onlyJson: RequestHandler = (request, _response, next) => {
  const { 'transfer-encoding': encoding, 'content-length': length } = request.headers;
  const hasBody = encoding !== undefined || Number(length ?? 0) > 0;
  if (hasBody && !request.is('application/json')) refuse('body', RULE);
  next();
};

export const jsonBody: readonly RequestHandler[] = [onlyJson, express.json({ limit: MAX_BYTES })];

/** What `jsonBody` read; empty where there was no body. @throws HoldfastError `invalid_field` */
export function bodyOf(request: Pick<Request, 'body'>): JsonObject {
  const body: unknown = request.body;
  if (body === undefined) return {};
  return isObject(body) ? body : refuse('body', RULE);
}
