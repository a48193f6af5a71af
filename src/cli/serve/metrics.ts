import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { TcpEndpoint } from '../../../index.js'

/** A server that answers `/metrics` for Prometheus, and nothing else. */
export async function serveMetrics(endpoint: TcpEndpoint, host: string, port: number): Promise<Server> {
  const server = createServer((request, response) => {
    const isMetrics = request.url === '/metrics' && (request.method === 'GET' || request.method === 'HEAD')
    if (isMetrics) response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8')
    else response.statusCode = 404
    response.end(isMetrics ? endpoint.metrics() : 'only /metrics is here\n')
  })
  server.listen(port, host)
  await once(server, 'listening')
  return server
}
