import type { ServerResponse } from 'node:http';
import { HoldfastError } from '../protocol/errors.js';
import type { Payload } from '../protocol/messages.js';
import { collect, type Middleware, type Request, refuse } from './plain-http.js';
import { Repeats } from './repeats.js';
import type { RightsRule } from './types.js';
import {
  type AuthorizeRequest,
  type MessageRequest,
  parseSecrets,
  verified,
  type Webhook,
  type WebhookEvent,
} from './webhook.js';

/** What a principal may do with a session. */
export interface Rights {
  allow: RightsRule['allow'];
  /** How long that holds, at most an hour; the gateway's `authorizeTtlMs` when absent. */
  ttl_ms?: number;
}

/** `reason` is told to the owner; a payload takes the place of what it sent. */
export type Verdict =
  | { accept: false; reason?: string }
  | ({ accept: true } & (Payload | { data?: never; bytes?: never }));

export interface WebhookReceiverOptions {
  /** `whsec_…`: one, or all that are in use during a rotation. */
  secrets: string | readonly string[];
  authorize?(request: AuthorizeRequest): Rights | Promise<Rights>;
  message?(request: MessageRequest): Verdict | Promise<Verdict>;
  /** An event counts as delivered when this has ended; while it throws, the event comes again. */
  event?(event: WebhookEvent): void | Promise<void>;
  /**
   * Of a webhook that came before, within 5 minutes: `answer_again` (default) gives the answer of the first time without
   * a call, from the memory of this process; `pass_on` calls again, for handlers that know a repeated `id` themselves.
   */
  repeats?: 'answer_again' | 'pass_on';
}

interface Answer {
  status: 200 | 204;
  body: string;
}

/** More than any message of a gateway. */
const MAX_BYTES = 4 * 1_024 * 1_024;
const NO_CONTENT: Answer = { status: 204, body: '' };

/**
 * A middleware for express, connect and plain `node:http` that takes the gateway's webhooks. It reads the body itself, so it
 * comes before any body parser, or after `express.raw()`. What a handler throws goes to `next`.
 * @throws TypeError for a secret that is none
 */
export function webhookReceiver(options: WebhookReceiverOptions): Middleware {
  const secrets = parseSecrets(options.secrets);
  const repeats = options.repeats === 'pass_on' ? undefined : new Repeats<Answer>(({ body }) => body.length);

  async function receive(request: Request, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST') {
      response.setHeader('Allow', 'POST');
      throw new HoldfastError('method_not_allowed', 'Only POST is possible here');
    }
    const webhook = verified(request.headers, await rawBodyOf(request), secrets);
    const ask = () => answerTo(webhook, options);
    const { status, body } = await (repeats === undefined ? ask() : repeats.once(webhook.id, ask));
    if (body !== '') response.setHeader('Content-Type', 'application/json');
    response.writeHead(status, { 'Cache-Control': 'no-store' }).end(body);
  }

  async function handle(...[request, response, next]: Parameters<Middleware>): Promise<void> {
    try {
      await receive(request, response);
    } catch (error) {
      if (error instanceof HoldfastError) refuse(request, response, error);
      else if (next !== undefined) next(error);
      else refuse(request, response, new HoldfastError('internal', 'The webhook could not be handled'));
    }
  }

  return (...given) => void handle(...given);
}

async function answerTo(webhook: Webhook, { authorize, message, event }: WebhookReceiverOptions): Promise<Answer> {
  if (webhook.type === 'authorize') return json(await handler(authorize, webhook.type)(webhook));
  if (webhook.type === 'message') return json(await handler(message, webhook.type)(webhook));
  await handler(event, webhook.type)(webhook);
  return NO_CONTENT;
}

function handler<T>(given: T | undefined, type: string): T {
  if (given === undefined) throw new HoldfastError('not_found', `Nothing here handles ${type}`);
  return given;
}

function json(body: object): Answer {
  return { status: 200, body: JSON.stringify(body) };
}

async function rawBodyOf(request: Request): Promise<Buffer | string> {
  const { body } = request;
  if (typeof body === 'string' || Buffer.isBuffer(body)) return body;
  if (body === undefined && !request.readableEnded) return collect(request, MAX_BYTES);
  throw new TypeError('webhookReceiver needs the body as it came: use it before body parsers');
}
