import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { TcpEndpoint } from '../../../index.js'
import { CliError } from '../failure.js'
import { harmless } from '../screen.js'

/** A server that answers `/metrics` for Prometheus, and nothing else. */
export async function serveMetrics(endpoint: TcpEndpoint, host: string, port: number): Promise<Server> {
  const server = createServer((request, response) => {
    const isMetrics = request.url?.split('?', 1)[0] === '/metrics' && (request.method === 'GET' || request.method === 'HEAD')
    if (isMetrics) response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8')
    else response.statusCode = 404
    response.end(isMetrics ? endpoint.metrics() : 'only /metrics is here\n')
  })
  server.listen(port, host)
  await once(server, 'listening').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE') throw new CliError(`--metrics-port ${port}: the port is taken: choose another, or 0 for any that is free`, { code: 'EADDRINUSE', cause: error })
    if (['ENOTFOUND', 'EAI_AGAIN', 'EADDRNOTAVAIL', 'EINVAL'].includes(error.code ?? '')) {
      throw new CliError(`--metrics-host ${harmless(host)}: is no address of this machine: leave it out for 127.0.0.1, or 0.0.0.0 is all of them`, { code: error.code as string, cause: error })
    }
    throw error
  })
  return server
}
