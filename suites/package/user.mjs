/** A user's empty folder, and what is typed there. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from './expect.mjs'

const PATIENCE_MS = 120_000
const LINES_SHOWN = 12

/** What the machine has, without what `npm run` and a developer's shell have added for this clone. */
function environment(added) {
  const foreign = /^(npm_|NODE_|NAPI_RS_|INIT_CWD$|MEMLANE_)/i
  const kept = Object.entries(process.env).filter(([name]) => !foreign.test(name))
  return { ...Object.fromEntries(kept), ...added }
}

/** A user in a folder of their own below `home`. With `registry` npm asks that; without one it is offline, and its cache is empty. */
export function user({ home, name, registry }) {
  const folder = join(home, name)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  const settings = join(home, `${name}.npmrc`)
  const where = registry === undefined ? 'offline=true' : `registry=${registry}\n${registry.replace(/^http:/, '')}:_authToken=local`
  writeFileSync(settings, `${where}\nfund=false\naudit=false\nupdate-notifier=false\nignore-scripts=true\nloglevel=error\n`)
  const env = environment({ npm_config_userconfig: settings, npm_config_cache: join(home, `${name}.cache`) })

  function run(program, args) {
    const { status, signal, stdout, stderr, error } = spawnSync(program, args, { cwd: folder, encoding: 'utf8', env, timeout: PATIENCE_MS })
    return { status, output: error?.message ?? `${stdout}${stderr}${signal ? `\nended by ${signal}` : ''}`, stdout }
  }

  return {
    folder,
    run,
    /** Runs a program, which has to end with 0, and gives its standard output. */
    succeed(program, ...args) {
      const { status, output, stdout } = run(program, args)
      const tail = output.trimEnd().split('\n').slice(0, LINES_SHOWN).join('\n')
      expect(status === 0, `${[program, ...args].join(' ')} ended with ${status}:\n${tail}`)
      return stdout
    },
    write: (file, text) => writeFileSync(join(folder, file), text),
    read: (file) => readFileSync(join(folder, file), 'utf8'),
    /** The packages that are installed, without those of scopes. */
    installed: () => readdirSync(join(folder, 'node_modules')).filter((entry) => !/^[.@]/.test(entry)).sort(),
  }
}
