// WebSocket with nothing but sockets: the handshake, text frames below 64 KiB, no pings, no limits.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Calls `onSocket(socket, url)` after each handshake. */
export function rawServer(onSocket) {
  const server = createServer();
  server.on('upgrade', ({ headers, url }, socket) => {
    const accept = createHash('sha1')
      .update(headers['sec-websocket-key'] + GUID)
      .digest('base64');
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    onSocket(socket, url);
  });
  return server;
}

/** Calls `onPayload` with each frame's, unmasked. */
export function readFrames(socket, onPayload) {
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    let data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      if (data.length < 8) break;
      const short = data[1] & 0x7f;
      const start = short === 126 ? 8 : 6;
      const length = short === 126 ? data.readUInt16BE(2) : short;
      if (data.length < start + length) break;
      const mask = data.subarray(start - 4, start);
      const payload = data.subarray(start, start + length);
      for (let index = 0; index < length; index++) payload[index] ^= mask[index & 3];
      onPayload(payload);
      data = data.subarray(start + length);
    }
    rest = data;
  });
}
