/** `GET /v1/connect`: who may open a WebSocket. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { BlockList } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { CredentialError } from '../login/jwt.js';
import { CLOSE_CODES, type CloseReason } from '../protocol/close-codes.js';
import { HoldfastError } from '../protocol/errors.js';
import { SUBPROTOCOL } from '../protocol/messages.js';
import { type AddressLimit, type AddressSlot, clientAddress } from './addresses.js';
import { type AuthenticationOptions, authenticate, type Identity } from './authenticate.js';
import { Connection, GatewaySocket } from './connection.js';
import type { ConnectionContext } from './connection-context.js';
import { hangUps } from './hang-up.js';
import { isOriginAllowed, type OriginPolicy } from './origin.js';
import { presentedBy } from './presented.js';
import { problemOf } from './problem.js';
import type { UpgradeRefusal } from './telemetry.js';
import { type TextListener, textReader } from './text-reader.js';

export const CONNECT_PATH = '/v1/connect';

/** How long a closing handshake may take. */
const CLOSE_TIMEOUT_MS = 5_000;
const MAX_FRAGMENTS = 128;
const EXTENSIONS = 'sec-websocket-extensions';
const STORE_RETRY_MS = 1_000;

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

/** Of a socket that is being refused. */
const DEAF: TextListener = { receive: ignore };

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
  if (request.url?.split('?', 1)[0] !== CONNECT_PATH) {
    return ['not_found', new HoldfastError('not_found', `WebSockets connect to ${CONNECT_PATH}`)];
  }
  if (isOriginAllowed(request.headers.origin, origins)) return undefined;
  return ['origin', new HoldfastError('origin_not_allowed', 'This origin is not on the list of allowed origins')];
}

/** How to close a connection whose credential was refused; undefined for an error that says nothing about it. */
function refusalOf(error: HoldfastError): CloseReason | undefined {
  if (error.code === 'login_ended') return 'login_ended';
  if (error.cause instanceof CredentialError && error.cause.expired) return 'login_expired';
  return error.code === 'invalid_credential' ? 'bad_credential' : undefined;
}

/**
 * A message is compressed once for all, so nobody gets the smaller window that it asks for; ws would refuse such a
 * client. Without the extension it is served uncompressed.
 */
function withoutSmallWindow({ headers }: IncomingMessage): void {
  if (headers[EXTENSIONS]?.includes('server_max_window_bits') === true) delete headers[EXTENSIONS];
}

export function upgradeListener(context: UpgradeContext): UpgradeListener {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: context.limits.compressAboveBytes > 0 && {
      serverNoContextTakeover: true,
      clientNoContextTakeover: true,
    },
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

  const endInTurn = hangUps(context.departures);
  const readTexts = textReader(context.limits.maxPayloadBytes);

  /** A browser is not shown the HTTP status, so a refused credential gets a WebSocket and a close code. */
  function rejectCredential(socket: GatewaySocket, slot: AddressSlot, reason: CloseReason): void {
    context.telemetry.refused('credential');
    socket.on('error', ignore);
    readTexts(socket, DEAF);
    context.refused.add(socket);
    socket.on('close', () => {
      context.refused.delete(socket);
      context.addresses.leave(slot);
    });
    socket.close(CLOSE_CODES[reason], reason);
  }

  function accept(socket: GatewaySocket, slot: AddressSlot, identity: Identity, request: IncomingMessage): void {
    const id = `c_${randomBytes(15).toString('base64url')}`;
    const connection = new Connection(id, identity, slot, socket, request.socket, context);
    endInTurn(request.socket);
    readTexts(socket, connection);
    context.onOpen(connection);
    context.log.debug({ connection: id, address: slot.key }, 'connection opened');
    connection.welcome();
  }

  /** @throws HoldfastError that is not about the credential, or why it cannot be checked */
  async function identify(request: IncomingMessage): Promise<Identity | CloseReason> {
    const { authentication, clock, log } = context;
    const presented = presentedBy(request, authentication.credentials);
    try {
      return await authenticate(presented, request.headers.origin, authentication, clock.wallMs());
    } catch (error) {
      const reason = error instanceof HoldfastError ? refusalOf(error) : undefined;
      if (reason === undefined) throw error;
      log.info({ reason: (error as HoldfastError).message }, 'credential refused');
      return reason;
    }
  }

  /** Waits for nothing, so that what is counted is either upgraded or given back. */
  function complete(request: IncomingMessage, socket: Duplex, head: Buffer, identity: Identity | CloseReason): void {
    const refusal = context.unavailable();
    if (refusal !== undefined) return reject(socket, refusal.reason, refusal.error);
    const slot = context.addresses.enter(clientAddress(request, context.trusted));
    if (slot === undefined) {
      const message = 'This address has as many connections as it may have';
      const error = new HoldfastError('too_many_connections', message, { retryAfterMs: 5_000 });
      return reject(socket, 'too_many_connections', error);
    }
    withoutSmallWindow(request);
    let upgraded = false;
    // The answer and the first frame leave together.
    socket.cork();
    server.handleUpgrade(request, socket, head, (webSocket) => {
      upgraded = true;
      socket.off('error', ignore);
      // What ended the login until now was told to the registration, what ends it later is told to the connection.
      const refused = typeof identity === 'string' ? identity : identity.credential?.registration.ended;
      if (refused !== undefined) rejectCredential(webSocket, slot, refused);
      else if (typeof identity !== 'string') accept(webSocket, slot, identity, request);
    });
    socket.uncork();
    if (!upgraded) {
      context.addresses.leave(slot);
      context.telemetry.refused('malformed');
    }
  }

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const wrong = misdirected(request, context.origins);
    if (wrong !== undefined) return reject(socket, ...wrong);
    const refusal = context.unavailable();
    if (refusal !== undefined) return reject(socket, refusal.reason, refusal.error);
    const identity = await identify(request);
    complete(request, socket, head, identity);
    if (typeof identity !== 'string') identity.credential?.registration.abandon();
  }

  function fail(socket: Duplex, error: unknown): void {
    if (error instanceof HoldfastError && error.status < 500) return reject(socket, 'malformed', error);
    if (error instanceof HoldfastError && error.retryable) {
      const { code, message, retryAfterMs = STORE_RETRY_MS } = error;
      return reject(socket, 'store_unavailable', new HoldfastError(code, message, { retryAfterMs }));
    }
    context.log.error({ error }, 'upgrade failed unexpectedly');
    refuse(socket, new HoldfastError('internal', 'The node failed to handle this'));
  }

  return (request, socket, head) => {
    socket.on('error', ignore);
    upgrade(request, socket, head).catch((error: unknown) => fail(socket, error));
  };
}
