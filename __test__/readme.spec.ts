import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import test from 'ava'

const root = process.cwd()
const text = (path: string) => readFileSync(join(root, path), 'utf8')

/** Fenced blocks of `language` in the README. */
function blocks(language: string): string[] {
  return [...text('README.md').matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map((match) => match[1]!)
}

const EXAMPLE = ['examples/two-processes/target.mjs', 'examples/two-processes/initiator.mjs']

test('the README shows the example as it is, in at most 20 lines', (t) => {
  const shown = blocks('js')
  t.deepEqual(shown.slice(0, 2), EXAMPLE.map(text))
  t.true(EXAMPLE.map(text).join('').trimEnd().split('\n').length <= 20)
})

test('the example of the README reads from a process whose JavaScript never answers', async (t) => {
  const [target, initiator] = EXAMPLE as [string, string]
  const serving = spawn(process.execPath, [target, '0'], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => serving.kill('SIGKILL'))
  const [line] = await once(serving)
  const port = /on port (\d+)$/.exec(line!)?.[1]
  t.truthy(port, line)
  const reading = spawn(process.execPath, [initiator, port!], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => reading.kill('SIGKILL'))
  t.deepEqual(await once(reading), ['16777216 weights, the last is 0.5'])
  t.is(serving.exitCode, null)
})

test('every file that the documents name is there', (t) => {
  for (const document of ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'docs/architecture.md', 'docs/protocol.md', 'docs/errors.md', 'docs/directory.md', 'docs/performance.md', 'docs/tuning.md', 'docs/long-roads.md', 'docs/scale.md', 'docs/usage.md', 'docs/recipes.md', 'docs/operations.md', 'docs/comparison.md', 'examples/README.md', 'bench/README.md']) {
    const named = text(document).matchAll(/`((?:crates|src|docs|examples|bench|scripts|npm|__test__|\.ci)\/[\w./@-]+)`/g)
    for (const [, path] of named) t.true(existsSync(join(root, path!)), `${document} names ${path}`)
    for (const [, path] of text(document).matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      t.true(existsSync(join(root, document, '..', path!)), `${document} links to ${path}`)
    }
  }
})

async function once(child: ReturnType<typeof spawn>): Promise<string[]> {
  for await (const line of createInterface({ input: child.stdout! })) return [line]
  return []
}

test('the README names the runtimes that npm run test:lifecycle runs, and no others', (t) => {
  const packages = JSON.parse(text('suites/lifecycle/packages/package.json')) as { optionalDependencies: Record<string, string> }
  const installed = Object.values(packages.optionalDependencies).map((version) => version.replace(/^npm:.+@/, ''))
  const said = /^- Run on Node .+?^(?=- )/ms.exec(text('README.md'))?.[0].match(/\d+\.\d+\.\d+/g)
  t.deepEqual([...new Set(said)].sort(), [...new Set(installed)].sort())
})
