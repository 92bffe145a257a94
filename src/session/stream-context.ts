import type { Log } from '../lib/log.js';
import type { TurnQueue } from '../lib/turn-queue.js';
import { encode } from '../protocol/codec.js';
import type { ServerMessage } from '../protocol/messages.js';
import { type FrameEncoder, frameText } from './frame-encoder.js';
import type { MessageStore } from './message-ports.js';
import type { WindowBudget } from './recovery-window.js';
import type { SessionTelemetry } from './telemetry.js';

/** What the live streams of a node share. */
export interface StreamContext {
  messages: MessageStore;
  frames: FrameEncoder;
  /** Unsent bytes beyond which a subscriber is no longer live. */
  lagBytes: number;
  log: Log;
  telemetry: SessionTelemetry;
  budget: WindowBudget;
  /** Where those who catch up take turns. */
  turns: TurnQueue;
}

/** For what is told to many at once. */
export function wholeFrame(frames: FrameEncoder, message: ServerMessage): Buffer {
  return frames.plain(frameText('', encode(message)));
}
