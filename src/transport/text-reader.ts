/** What clients send: most of it whole text frames, each of which costs `ws` up to eight buffers and an event. */
import type { Writable } from 'node:stream';
import type { WebSocket } from 'ws';
import { FINAL_TEXT, MAX_SHORT, MEDIUM } from './frame.js';

const MASKED = 0x80;
const MASK_BYTES = 4;
/** What bytes that are not UTF-8 are decoded to; a text may hold it, too. */
const REPLACEMENT = '\ufffd';

const CLOSE = 0x08;
/** The numbers of `ws` for "before a frame" and "before the end of its payload". */
const BEFORE_FRAME = 0;
const IN_PAYLOAD = 4;

export interface TextListener {
  /** @param bytes of the text, UTF-8 */
  receive(text: string, bytes: number): void;
}

/** The parser of `ws`, with those of its fields that tell where it is, none of which is documented. */
interface Receiver extends Writable {
  _state: number;
  _bufferedBytes: number;
  _payloadLength: number;
  /** The opcode of a message of several frames, while it lasts. */
  _fragmented: number;
  _opcode: number;
  _errored: boolean;
  /** Ours. */
  textListener: TextListener;
}

type Done = (error?: Error | null) => void;

function isBetweenMessages({ _state, _bufferedBytes, _fragmented, _opcode }: Receiver): boolean {
  return _state === BEFORE_FRAME && _bufferedBytes === 0 && _fragmented === 0 && _opcode !== CLOSE;
}

function isFresh(receiver: Receiver): boolean {
  const { _state, _bufferedBytes, _payloadLength, _fragmented, _opcode, _errored } = receiver;
  const isAtZero = [_state, _bufferedBytes, _payloadLength, _fragmented, _opcode].every((value) => value === 0);
  return isAtZero && typeof _errored === 'boolean' && !_errored;
}

/** @returns with how many more `ws` comes to the end of a frame, and not beyond; 0 where that is not known */
function missingBytes({ _state, _payloadLength, _bufferedBytes }: Receiver): number {
  return _state === IN_PAYLOAD ? _payloadLength - _bufferedBytes : 0;
}

/**
 * Text frames that lie whole in what the socket read are told to a listener, in their order with all that `ws` tells.
 * Everything else is left to `ws`, until it finds something wrong: what was read behind that is not looked at.
 * @returns what begins that for a new socket; without effect where `ws` has not the fields that it is known to have
 */
export function textReader(maxPayloadBytes: number): (socket: WebSocket, listener: TextListener) => void {
  // One for all sockets.
  let parse: Receiver['_write'] | undefined;

  /** @returns where the first frame begins that is not one of those */
  function readTexts(chunk: Buffer, from: number, listener: TextListener): number {
    for (let at = from; ; ) {
      // Beyond the end of the chunk there is 0, which begins no frame and masks none.
      const length = (chunk[at + 1] ?? 0) - MASKED;
      if (chunk[at] !== FINAL_TEXT || length < 0 || length > MEDIUM) return at;
      const bytes = length <= MAX_SHORT ? length : ((chunk[at + 2] ?? 0) << 8) | (chunk[at + 3] ?? 0);
      const start = at + (length <= MAX_SHORT ? 2 : 4) + MASK_BYTES;
      const end = start + bytes;
      if (end > chunk.length || bytes > maxPayloadBytes) return at;
      unmask(chunk, start, end);
      const text = chunk.toString('utf8', start, end);
      if (text.includes(REPLACEMENT)) {
        // So that `ws`, which is to judge it, finds it unmasked.
        chunk.fill(0, start - MASK_BYTES, start);
        return at;
      }
      at = end;
      listener.receive(text, bytes);
    }
  }

  function read(receiver: Receiver, chunk: Buffer, from: number, encoding: BufferEncoding, done: Done): void {
    const at = isBetweenMessages(receiver) ? readTexts(chunk, from, receiver.textListener) : from;
    if (at === chunk.length) done();
    else parse?.call(receiver, chunk.subarray(at), encoding, done);
  }

  function write(this: Receiver, chunk: Buffer, encoding: BufferEncoding, done: Done): void {
    const { _errored: isOver } = this;
    // `ws` would go on, and throw: what comes while it inflates is handed to it in one go, beyond an error, too.
    if (isOver) return done();
    const missing = missingBytes(this);
    if (missing === 0 || missing >= chunk.length) return read(this, chunk, 0, encoding, done);
    parse?.call(this, chunk.subarray(0, missing), encoding, (error) => {
      if (error) done(error);
      else read(this, chunk, missing, encoding, done);
    });
  }

  return (socket, listener) => {
    const { _receiver: receiver } = socket as unknown as { _receiver?: Receiver };
    if (receiver === undefined || !isFresh(receiver)) return;
    ({ _write: parse } = receiver);
    Object.assign(receiver, { _write: write, textListener: listener });
  };
}

/** Four bytes a round: a third of the time that it takes one by one. */
function unmask(chunk: Buffer, start: number, end: number): void {
  const mask = start - MASK_BYTES;
  const first = chunk[mask] ?? 0;
  const second = chunk[mask + 1] ?? 0;
  const third = chunk[mask + 2] ?? 0;
  const fourth = chunk[mask + 3] ?? 0;
  let at = start;
  for (; at + 3 < end; at += 4) {
    chunk[at] = (chunk[at] ?? 0) ^ first;
    chunk[at + 1] = (chunk[at + 1] ?? 0) ^ second;
    chunk[at + 2] = (chunk[at + 2] ?? 0) ^ third;
    chunk[at + 3] = (chunk[at + 3] ?? 0) ^ fourth;
  }
  for (let index = 0; at + index < end; index++) {
    chunk[at + index] = (chunk[at + index] ?? 0) ^ (chunk[mask + index] ?? 0);
  }
}
