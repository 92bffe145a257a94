/** WebSocket frames of messages, made once for all subscribers of a node. */
export interface FrameEncoder {
  /** A text frame with the payload `head` + `tail`. `head` is ASCII. */
  plain(head: string, tail: Buffer): Buffer;
  /** The same compressed (RFC 7692, without context takeover), or undefined where that is off or not worth it. */
  compressed(head: string, tail: Buffer): Buffer | undefined;
}
