// The limit: bare sockets, one frame a message, one write per socket and turn.
import { rawServer, readFrames } from './raw-server.mjs';
import { batchedTo, frameOf, listen, messagesOf } from './relay.mjs';

const subscribers = new Set();
const push = batchedTo(subscribers);
listen(
  rawServer((socket, url) => {
    if (url === '/pub') {
      readFrames(socket, (payload) => {
        for (const message of messagesOf(payload)) push(frameOf(message));
      });
    } else {
      subscribers.add(socket);
      socket.on('data', () => {});
      socket.on('close', () => subscribers.delete(socket));
    }
  }),
);
