// Socket.IO with connection state recovery in its in-memory adapter: what a user would reach for on one node.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const server = createServer();
const io = new Server(server, {
  transports: ['websocket'],
  perMessageDeflate: false,
  serveClient: false,
  connectionStateRecovery: { maxDisconnectionDuration: 120_000 },
});
io.on('connection', (socket) => {
  socket.on('drive', (session, acknowledge) => {
    void socket.join(session);
    acknowledge(socket.recovered);
    // State is recovered from the offset of a broadcast that the client has seen.
    io.to(session).emit('owned');
  });
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => process.stdout.write(`${server.address().port}\n`));
