import { decodeFrame } from '../../src/protocol/codec.js';
import type { ClientMessage, SendRequest } from '../../src/protocol/messages.js';

/** The request that a node makes of the client's message. */
export function sendRequest(message: Extract<ClientMessage, { type: 'send' }>): SendRequest {
  const text = JSON.stringify(message);
  const decoded = decodeFrame(text, Buffer.byteLength(text));
  if (!decoded.ok || decoded.message.type !== 'send') throw new Error(`no send: ${text.slice(0, 1_000)}`);
  return decoded.message;
}
