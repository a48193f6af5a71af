import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { root } from './support/error-table'

/** Documents of this test, by their paths in the repository. */
function documents(texts: Record<string, string>): string[] {
  const folder = 'build/documents-of-tests'
  rmSync(join(root, folder), { recursive: true, force: true })
  mkdirSync(join(root, folder), { recursive: true })
  return Object.entries(texts).map(([name, text]) => {
    writeFileSync(join(root, folder, name), text)
    return `${folder}/${name}`
  })
}

const block = (language: string, code: string, said = '') => `${said === '' ? '' : `<!-- example: ${said} -->\n`}\`\`\`${language}\n${code}\n\`\`\`\n\n`

test.serial('an example that does not do what the document says is told with its file and line', (t) => {
  const paths = documents({
    'compiled.md': block('js', 'await peer.read("weights", { ofset: 1 })', 'peer'),
    'typed.md': `Text.\n\n${block('ts', 'const port: string = (await TcpEndpoint.listen()).port', 'TcpEndpoint')}`,
    'unknown.md': block('js', 'nothing()', 'nothing'),
    'thrown.md': block('js', 'console.log(1)\nawait peer.read("weights", { length: -1 })', 'peer'),
    'printed.md': block('js', 'console.log("a", 1)') + block('text', 'a …', 'prints') + block('text', 'a 2', 'prints'),
    'commands.md': block('sh', 'npm run test:nothing\nnpm run stress -- --speed 3\nnode nothing.mjs') + 'And `npm run nowhere` too.\n',
    'parsed.md': block('json', '{ "a": 1, }') + block('jss', 'x'),
    'ended.md': block('js', 'console.log("never")', 'serves') + block('js', 'setInterval(() => undefined, 1000)', 'stops'),
  })
  const { status, stdout } = spawnSync(process.execPath, ['suites/docs/run.mjs', '--only', paths.join(',')], { cwd: root, encoding: 'utf8' })
  t.is(status, 1)
  const failures = stdout.split('\n').filter((line) => line.startsWith('FAILED '))
  const expected = [
    /compiled\.md:3: .*'ofset'/,
    /typed\.md:5: Type 'number' is not assignable to type 'string'/,
    /unknown\.md:3: 'nothing' is neither in suites\/docs\/fixtures\.mjs nor exported by memlane/,
    /thrown\.md:4: exit status 1: RangeError/,
    /printed\.md:12: it prints$/,
    /commands\.md:2: package\.json has no script 'test:nothing'/,
    /commands\.md:3: npm run stress has no --speed/,
    /commands\.md:4: there is no nothing\.mjs/,
    /commands\.md:7: package\.json has no script 'nowhere'/,
    /parsed\.md:2: .*JSON/,
    /parsed\.md:5: nobody knows what to do with a block of 'jss'/,
  ]
  for (const pattern of expected) t.is(failures.filter((line) => pattern.test(line)).length, 1, `${pattern}\n${stdout}`)
  t.is(failures.length, expected.length, stdout)
})

test('no link of the documents leads nowhere, and every page has a place in the site', (t) => {
  const program = `
    import { checkFiles } from ${JSON.stringify(`file://${root}/site/check-files.mjs`)}
    import { documents, sidebar } from ${JSON.stringify(`file://${root}/site/pages.mjs`)}
    const { links, problems } = checkFiles(documents())
    console.log(JSON.stringify({ links, problems, groups: sidebar().length }))`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
  t.is(stderr, '')
  const { links, problems, groups } = JSON.parse(stdout) as { links: number; problems: string[]; groups: number }
  t.deepEqual(problems, [])
  t.true(links > 500 && groups > 5)
})

test('a picture says in words what it shows, follows light and dark, and stands in a page', (t) => {
  const folder = join(root, 'docs', 'pictures')
  const concepts = readFileSync(join(root, 'docs', 'concepts.md'), 'utf8')
  for (const file of readdirSync(folder)) {
    const picture = readFileSync(join(folder, file), 'utf8')
    t.regex(picture, /<title id="title">[^<]{10,}<\/title>\n<desc id="desc">[^<]{40,}<\/desc>/, file)
    t.true(picture.includes('prefers-color-scheme:dark'), file)
    t.notRegex(picture, /(href|src)=|url\((?!#)/, `${file} fetches something`)
    t.regex(concepts, new RegExp(`!\\[[^\\]]{20,}\\]\\(pictures/${file}\\)`), file)
  }
})

test.serial('a link that leads nowhere is told with its file and line', (t) => {
  const [path] = documents({
    'links.md': '# A · head\n\n[here](#a--head) [gone](absent.md)\n[no](#b) [file](../../docs/errors.md#what-to-do)\n[anchor](../../docs/errors.md#nothing) `[code](x)`\n[form](https://nowhere) <http://example.org>\n',
    'other.md': '',
  })
  const program = `
    import { checkFiles } from ${JSON.stringify(`file://${root}/site/check-files.mjs`)}
    console.log(JSON.stringify(checkFiles([${JSON.stringify(path)}])))`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
  t.is(stderr, '')
  t.deepEqual(JSON.parse(stdout), {
    links: 7,
    problems: [
      `${path}:3: absent.md: no such file`,
      `${path}:4: #b: no heading #b in ${path}`,
      `${path}:5: ../../docs/errors.md#nothing: no heading #nothing in docs/errors.md`,
      `${path}:6: https://nowhere: no host: nowhere`,
    ],
  })
})

test.serial('a page of the built site that names what is not there, or fetches from elsewhere, is told', (t) => {
  documents({
    'index.html': '<a href="/b/other.html#x">1</a> <a href="other.html#y">2</a> <a href="gone.html">3</a> <a href="https://example.org/">4</a> <img alt="" src="/b/x.svg"> <a href="/other.html">5</a>',
    'other.html': '<h1 id="x">x</h1><script src="https://example.org/x.js"></script>',
    'style.css': '@font-face { src: url(https://example.org/font.woff2) }',
  })
  const program = `
    import { checkSite } from ${JSON.stringify(`file://${root}/site/check-site.mjs`)}
    console.log(JSON.stringify(checkSite(${JSON.stringify(join(root, 'build/documents-of-tests'))}, '/b/')))`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
  t.is(stderr, '')
  const { pages, problems } = JSON.parse(stdout) as { pages: number; problems: string[] }
  t.is(pages, 2)
  t.deepEqual([...problems].sort(), [
    'index.html: /b/x.svg: no such page or file in the site',
    'index.html: /other.html: not below /b/',
    'index.html: gone.html: no such page or file in the site',
    'index.html: other.html#y: no #y in other.html',
    'other.html: https://example.org/x.js: <script> is fetched from elsewhere',
    'style.css: https://example.org/font.woff2: fetched from elsewhere',
  ])
})
