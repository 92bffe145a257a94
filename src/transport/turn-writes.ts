import type { FramePart } from '../session/frame-encoder.js';
import { joinedFrames } from './frame.js';

/** Where a turn's replies go. */
export interface TurnWriter {
  writeNow(frames: Buffer): void;
}

/**
 * Gathers what connections are sent within a turn of the event loop, texts and ready frames, so that all of a turn goes
 * to each in one write. One callback ends the turn for all.
 */
export class TurnWrites {
  #gathered = new Map<TurnWriter, (string | FramePart)[]>();

  has(writer: TurnWriter): boolean {
    return this.#gathered.has(writer);
  }

  add(writer: TurnWriter, part: string | FramePart): void {
    const parts = this.#gathered.get(writer);
    if (parts !== undefined) {
      parts.push(part);
      return;
    }
    if (this.#gathered.size === 0) setImmediate(() => this.#end());
    this.#gathered.set(writer, [part]);
  }

  /** Writes at once what was gathered for that one, before anything that must not overtake it. */
  flush(writer: TurnWriter): void {
    const parts = this.#gathered.get(writer);
    if (parts === undefined) return;
    this.#gathered.delete(writer);
    writer.writeNow(joinedFrames(parts));
  }

  #end(): void {
    const gathered = this.#gathered;
    this.#gathered = new Map();
    for (const [writer, parts] of gathered) writer.writeNow(joinedFrames(parts));
  }
}
