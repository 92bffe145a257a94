import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { maskedFrame } from './masked-frame.js';

/** A WebSocket client that costs as little as possible: text frames below 64 KiB, no pings of its own. */
export class RawSocket {
  readonly #socket: Socket;
  #buffer: Buffer = Buffer.alloc(0);
  onText: (text: string) => void = () => {};
  /** The connection is gone, whoever ended it; with the code of a close frame that came before. */
  onClose: (code: number | undefined) => void = () => {};
  #closeCode: number | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => {
      this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
      this.#read();
    });
    socket.on('error', () => {});
    socket.once('close', () => this.onClose(this.#closeCode));
  }

  /** Resolves when the upgrade is done. `header`: one more line of the request. */
  static open(port: number, path: string, header = ''): Promise<RawSocket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      socket.once('error', reject);
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n` +
          `${header === '' ? '' : `${header}\r\n`}\r\n`,
      );
      let head = '';
      const onData = (chunk: Buffer) => {
        head += chunk.toString('latin1');
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        socket.off('data', onData);
        socket.off('error', reject);
        if (!head.startsWith('HTTP/1.1 101')) {
          socket.destroy();
          reject(new Error(head.slice(0, head.indexOf('\r\n'))));
          return;
        }
        const raw = new RawSocket(socket);
        resolve(raw);
        // After the caller has had a chance to listen.
        if (head.length > end + 4) setImmediate(() => socket.emit('data', Buffer.from(head.slice(end + 4), 'latin1')));
      };
      socket.on('data', onData);
    });
  }

  send(text: string): void {
    this.#socket.write(maskedFrame(text));
  }

  /** Without a goodbye. */
  cut(): void {
    this.#socket.destroy();
  }

  #read(): void {
    for (;;) {
      if (this.#buffer.length < 2) return;
      const opcode = (this.#buffer[0] ?? 0) & 0x0f;
      const short = (this.#buffer[1] ?? 0) & 0x7f;
      const start = short === 126 ? 4 : 2;
      if (this.#buffer.length < start) return;
      const length = short === 126 ? this.#buffer.readUInt16BE(2) : short;
      if (this.#buffer.length < start + length) return;
      const payload = this.#buffer.subarray(start, start + length);
      this.#buffer = this.#buffer.subarray(start + length);
      if (opcode === 1) this.onText(payload.toString());
      if (opcode === 8) this.#closeCode = payload.length < 2 ? undefined : payload.readUInt16BE(0);
    }
  }
}

/** Runs `work` for 0 … count − 1, at most `width` at a time. */
export async function inParallel(count: number, width: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, lane));
}
