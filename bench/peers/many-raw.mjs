// The limit for many sessions: the same POSTs, and for each message one frame, made beforehand, to its session's socket.
import { rawServer } from './raw-server.mjs';
import { frameOf, listen } from './relay.mjs';

const [, , frameBytes] = process.argv;
const frame = frameOf(Buffer.alloc(Number(frameBytes), 'x'));
const sessions = new Map();
const server = rawServer((socket, url) => {
  const session = url.slice(1);
  sessions.set(session, socket);
  socket.on('data', () => {});
  socket.on('close', () => sessions.delete(session));
});
server.on('request', (request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const { messages } = JSON.parse(Buffer.concat(chunks).toString());
    for (const { session_id: session } of messages) sessions.get(session)?.write(frame);
    response.end('{}');
  });
});
listen(server);
