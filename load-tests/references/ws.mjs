// node `ws`: GET /sub is a WebSocket, POST /pub goes to all.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
const server = createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const body = Buffer.concat(parts);
    for (const socket of sockets.clients) socket.send(body, { binary: false });
    response.writeHead(204).end();
  });
});
server.on('upgrade', (request, socket, head) => sockets.handleUpgrade(request, socket, head, () => {}));
server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4096 });
