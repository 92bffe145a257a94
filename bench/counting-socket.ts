import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** One for all: what is read is counted before the next socket is read. */
const READ_BUFFER = Buffer.allocUnsafe(65_536);
const MAX_HEADER_BYTES = 10;
const MAX_ATTEMPTS = 50;
const RETRY_MS = 200;

/**
 * A WebSocket client that reads texts until it is told to count, and then looks at nothing but the headers of frames:
 * what it costs is next to what the kernel's reading costs.
 */
export class CountingSocket {
  #socket: Socket | undefined;
  #rest = Buffer.alloc(0);
  /** Of the payload that is being counted. */
  #left = 0;
  #length = 0;
  #onHead: ((length: number, data: Buffer) => void) | undefined;
  /** Gets each text until `count` is called. */
  onText: (text: string) => void = () => {};
  #onCounted: ((bytes: number) => void) | undefined;

  /** Resolves when the upgrade is done; what follows it goes to `onText`. A server that has too much to do is asked again. */
  async open(port: number, path: string): Promise<void> {
    for (let attempts = 1; ; attempts++) {
      const refusal = await this.#upgrade(port, path);
      if (refusal === undefined) return;
      if (attempts === MAX_ATTEMPTS || !refusal.includes(' 503 ')) throw new Error(refusal);
      await sleep(RETRY_MS);
    }
  }

  /** @returns the status line of a refusal */
  #upgrade(port: number, path: string): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      let head = '';
      this.#onHead = (length, data) => {
        head += data.toString('latin1', 0, length);
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        this.#onHead = undefined;
        if (!head.startsWith('HTTP/1.1 101')) {
          this.cut();
          return resolve(head.slice(0, head.indexOf('\r\n')));
        }
        resolve(undefined);
        const early = Buffer.from(head.slice(end + 4), 'latin1');
        // After the caller has had a chance to listen.
        if (early.length > 0) setImmediate(() => this.#read(early));
      };
      const callback = (length: number, data: Uint8Array) => {
        const chunk = data as Buffer;
        if (this.#onHead !== undefined) this.#onHead(length, chunk);
        else this.#read(chunk.subarray(0, length));
        return true;
      };
      const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread: { buffer: READ_BUFFER, callback } });
      this.#socket = socket;
      socket.on('error', reject);
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
      );
    });
  }

  /** From now on only the length of each text is told, when it is complete. */
  count(onCounted: (bytes: number) => void): void {
    this.#onCounted = onCounted;
  }

  write(frames: Buffer): void {
    this.#socket?.write(frames);
  }

  /** Resolves with the first text that `wanted` accepts. */
  next(wanted: (text: string) => boolean): Promise<string> {
    return new Promise((resolve) => {
      this.onText = (text) => {
        if (wanted(text)) resolve(text);
      };
    });
  }

  /** Leaves what arrives in the kernel's buffers. */
  stopReading(): void {
    this.#socket?.pause();
  }

  /** Without a goodbye. */
  cut(): void {
    this.#socket?.destroy();
  }

  #read(chunk: Buffer): void {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    for (;;) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, data.length - at);
        this.#left -= taken;
        at += taken;
        if (this.#left > 0) break;
        this.#onCounted?.(this.#length);
      }
      const short = (data[at + 1] ?? 0) & 0x7f;
      const start = short === 126 ? 4 : short === 127 ? MAX_HEADER_BYTES : 2;
      if (data.length < at + start) break;
      const length =
        short === 126 ? data.readUInt16BE(at + 2) : short === 127 ? Number(data.readBigUInt64BE(at + 2)) : short;
      if (this.#onCounted === undefined) {
        if (data.length < at + start + length) break;
        this.onText(data.toString('utf8', at + start, at + start + length));
        at += start + length;
      } else {
        this.#length = length;
        this.#left = length;
        at += start;
      }
    }
    this.#rest = at < data.length ? Buffer.from(data.subarray(at)) : Buffer.alloc(0);
  }
}
