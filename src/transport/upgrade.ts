/** `GET /v1/connect`: who may open a WebSocket. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { BlockList } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { CredentialError } from '../login/jwt.js';
import { CLOSE_CODES } from '../protocol/close-codes.js';
import { HoldfastError } from '../protocol/errors.js';
import { SUBPROTOCOL } from '../protocol/messages.js';
import { type AddressLimit, type AddressSlot, clientAddress } from './addresses.js';
import { type AuthenticationOptions, authenticate, type Identity } from './authenticate.js';
import { Connection, type ConnectionContext, GatewaySocket } from './connection.js';
import { isOriginAllowed, type OriginPolicy } from './origin.js';
import { problemOf } from './problem.js';
import type { UpgradeRefusal } from './telemetry.js';

export const CONNECT_PATH = '/v1/connect';

/** How long a closing handshake may take. */
const CLOSE_TIMEOUT_MS = 5_000;
const MAX_FRAGMENTS = 128;

export interface UpgradeContext extends ConnectionContext {
  origins: OriginPolicy;
  authentication: AuthenticationOptions;
  trusted: BlockList | undefined;
  addresses: AddressLimit;
  /** Why this node takes no connection now, or undefined. */
  unavailable(): { reason: 'draining' | 'overloaded'; error: HoldfastError } | undefined;
  onOpen(connection: Connection): void;
  /** Sockets that are in the closing handshake because of their credential; maintained here. */
  refused: Set<GatewaySocket>;
}

type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Without a listener a client that resets the connection while it is refused would end the process. */
function ignore(): void {}

/** Answers an upgrade with plain HTTP. */
function refuse(socket: Duplex, error: HoldfastError): void {
  const { status, title, headers, body } = problemOf(error);
  const lines = Object.entries({ ...headers, 'Content-Length': Buffer.byteLength(body), Connection: 'close' });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${title}\r\n${head}\r\n${body}`);
}

/** What can be told from the request line and the headers alone. */
function misdirected(request: IncomingMessage, origins: OriginPolicy): [UpgradeRefusal, HoldfastError] | undefined {
  const [path, query] = (request.url ?? '').split('?', 2);
  if (path !== CONNECT_PATH)
    return ['not_found', new HoldfastError('not_found', `WebSockets connect to ${CONNECT_PATH}`)];
  if (!isOriginAllowed(request.headers.origin, origins)) {
    return ['origin', new HoldfastError('origin_not_allowed', 'This origin is not on the list of allowed origins')];
  }
  if (query === undefined) return undefined;
  const message = `${CONNECT_PATH} takes no query: URLs end up in logs, so credentials go into headers`;
  return ['malformed', new HoldfastError('invalid_field', message, { field: 'query' })];
}

export function upgradeListener(context: UpgradeContext): UpgradeListener {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: context.limits.maxPayloadBytes,
    maxFragments: MAX_FRAGMENTS,
    closeTimeout: CLOSE_TIMEOUT_MS,
    WebSocket: GatewaySocket,
    // Without this the first one offered would be echoed, which may be a credential.
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  } as ConstructorParameters<typeof WebSocketServer<typeof GatewaySocket>>[0]);

  function reject(socket: Duplex, reason: UpgradeRefusal, error: HoldfastError): void {
    context.telemetry.refused(reason);
    context.log.info({ reason, code: error.code }, 'upgrade refused');
    refuse(socket, error);
  }

  /** A browser is not shown the HTTP status, so a refused credential gets a WebSocket and a close code. */
  function rejectCredential(socket: GatewaySocket, slot: AddressSlot, error: CredentialError): void {
    context.telemetry.refused('credential');
    context.log.info({ reason: error.message }, 'credential refused');
    socket.on('error', ignore);
    context.refused.add(socket);
    socket.on('close', () => {
      context.refused.delete(socket);
      context.addresses.leave(slot);
    });
    const reason = error.expired ? 'login_expired' : 'bad_credential';
    socket.close(CLOSE_CODES[reason], reason);
  }

  function accept(socket: GatewaySocket, slot: AddressSlot, identity: Identity, request: IncomingMessage): void {
    const id = `c_${randomBytes(15).toString('base64url')}`;
    const connection = new Connection(id, identity, slot, socket, request.socket, context);
    context.onOpen(connection);
    context.log.debug({ connection: id, address: slot.key }, 'connection opened');
    connection.welcome();
  }

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const wrong = misdirected(request, context.origins);
    if (wrong !== undefined) return reject(socket, ...wrong);
    let refusal = context.unavailable();
    if (refusal !== undefined) return reject(socket, refusal.reason, refusal.error);

    const identity = await authenticate(request, context.authentication).catch((error: unknown) => {
      if (error instanceof CredentialError) return error;
      throw error;
    });

    // From here on nothing waits, so that what is counted is either upgraded or given back.
    refusal = context.unavailable();
    if (refusal !== undefined) return reject(socket, refusal.reason, refusal.error);
    const slot = context.addresses.enter(clientAddress(request, context.trusted));
    if (slot === undefined) {
      const message = 'This address has as many connections as it may have';
      const error = new HoldfastError('too_many_connections', message, { retryAfterMs: 5_000 });
      return reject(socket, 'too_many_connections', error);
    }
    let upgraded = false;
    // The answer and the first frame leave together.
    socket.cork();
    server.handleUpgrade(request, socket, head, (webSocket) => {
      upgraded = true;
      socket.off('error', ignore);
      if (identity instanceof CredentialError) rejectCredential(webSocket, slot, identity);
      else accept(webSocket, slot, identity, request);
    });
    socket.uncork();
    if (!upgraded) {
      context.addresses.leave(slot);
      context.telemetry.refused('malformed');
    }
  }

  return (request, socket, head) => {
    socket.on('error', ignore);
    upgrade(request, socket, head).catch((error: unknown) => {
      context.log.error({ error }, 'upgrade failed unexpectedly');
      refuse(socket, new HoldfastError('internal', 'The node failed to handle this'));
    });
  };
}
