// What the servers below share: they pass on what comes on `/pub` to every connection on another path.

/** Prints the port, which is what the benchmarks wait for. */
export function listen(server) {
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
    process.stdout.write(`${server.address().port}\n`),
  );
}

/** One message is passed on as it is; a JSON array is several. */
export function messagesOf(data) {
  return data[0] === 0x5b ? JSON.parse(data.toString()).map((text) => Buffer.from(text)) : [data];
}

/** An unmasked text frame below 64 KiB. */
export function frameOf(payload) {
  const start = payload.length < 126 ? 2 : 4;
  const frame = Buffer.allocUnsafe(start + payload.length);
  frame[0] = 0x81;
  if (start === 2) frame[1] = payload.length;
  else {
    frame[1] = 126;
    frame.writeUInt16BE(payload.length, 2);
  }
  payload.copy(frame, start);
  return frame;
}

/** All frames of one turn of the event loop, concatenated once and written to each stream in one call. */
export function batchedTo(streams) {
  let waiting = [];
  return (frame) => {
    waiting.push(frame);
    if (waiting.length > 1) return;
    setImmediate(() => {
      const frames = waiting.length === 1 ? waiting[0] : Buffer.concat(waiting);
      waiting = [];
      for (const stream of streams) stream.write(frames);
    });
  };
}
