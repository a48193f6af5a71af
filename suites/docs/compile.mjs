/** Holds programs against the types of the package by the TypeScript compiler, JavaScript too. */
import { readFileSync, writeFileSync } from 'node:fs'
import ts from 'typescript'

const OPTIONS = {
  allowJs: true,
  checkJs: true,
  noEmit: true,
  skipLibCheck: true,
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2022.d.ts', 'lib.esnext.disposable.d.ts'],
  types: ['node'],
  module: ts.ModuleKind.Node16,
  moduleResolution: ts.ModuleResolutionKind.Node16,
  moduleDetection: ts.ModuleDetectionKind.Force,
}

/** What the compiler says against the programs, a line for each: `page.md:line: what`. */
export function compile(programs) {
  const typed = (program) => program.file.endsWith('ts')
  const host = ts.createCompilerHost(OPTIONS)
  // Both compilations read the same libraries, which is most of what they do.
  const [read, files] = [host.getSourceFile, new Map()]
  host.getSourceFile = (name, ...rest) => {
    if (!files.has(name)) files.set(name, read(name, ...rest))
    return files.get(name)
  }
  // What may be undefined is TypeScript's to ask after; a text of JavaScript has to be right about names, options and arguments.
  return [programs.filter(typed), programs.filter((program) => !typed(program))].flatMap((some, index) => judged(some, { ...OPTIONS, strict: index === 0 }, host))
}

function judged(programs, options, host) {
  const byFile = new Map(programs.map((program) => [program.file, program]))
  const compiled = ts.createProgram([...byFile.keys()], options, host)
  return ts.getPreEmitDiagnostics(compiled).map(({ file, start, code, messageText }) => {
    const what = `${ts.flattenDiagnosticMessageText(messageText, ' ')} (TS${code})`
    const program = file && byFile.get(file.fileName)
    if (program === undefined) return `${file?.fileName ?? 'the compiler'}: ${what}`
    const { line } = file.getLineAndCharacterOfPosition(start)
    return `${program.block.path}:${program.origin(line + 1)}: ${what}`
  })
}

/** Writes the JavaScript of a TypeScript program beside it; returns the file to run. */
export function runnable(file) {
  if (!/\.[mc]ts$/.test(file)) return file
  const to = file.replace(/ts$/, 'js')
  const { outputText } = ts.transpileModule(readFileSync(file, 'utf8'), { compilerOptions: { ...OPTIONS, noEmit: false }, fileName: file })
  writeFileSync(to, outputText)
  return to
}
