/** A registry of npm on a port of loopback that the system chooses; prints the port. Knows no other registry. Ends with its input. */
const { join } = require('node:path')

const [, , tools, storage] = process.argv
const { runServer } = require(join(tools, 'verdaccio'))
const everybody = { access: '$all', publish: '$all' }
const config = {
  self_path: storage,
  storage,
  uplinks: {},
  packages: { '@*/*': everybody, '**': everybody },
  auth: { htpasswd: { file: join(storage, 'htpasswd'), max_users: -1 } },
  max_body_size: '20mb',
  log: { type: 'stdout', format: 'json', level: 'fatal' },
  web: { enable: false },
}

async function main() {
  const server = await runServer(config)
  server.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`))
}

void main()
process.stdin.on('end', () => process.exit(0)).resume()
