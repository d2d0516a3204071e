/**
 * Code blocks of documents, taken from files that the tests execute. A block is preceded by a comment
 * that names its source, and its text is whatever stands there:
 *
 *     <!-- source: examples/quickstart/app.ts#definition -->
 *     ```ts
 *     …
 *     ```
 *
 * A region runs from a line `// #region definition` to the next `// #endregion`, with `#` instead of
 * `//` in shell scripts; without a name the whole file is taken. Lines of region marks are left out and
 * the indentation that all lines share is removed.
 */

/** A document with its blocks brought up to date. */
export interface RewrittenDocument {
  readonly text: string
  /** What is wrong with the document, each with its line. */
  readonly faults: readonly string[]
  /** The sources that the document takes blocks from. */
  readonly sources: readonly string[]
}

/** Languages that a reader would run or send, so that their blocks need a source. */
const executable = new Set([
  'ts',
  'tsx',
  'typescript',
  'js',
  'mjs',
  'javascript',
  'sh',
  'bash',
  'shell',
  'console',
  'json',
  'http',
])
const languageOf: Readonly<Record<string, string>> = {
  mjs: 'js',
  bash: 'sh',
  jsonl: 'json',
  txt: 'text',
}

/**
 * Replaces the text of every block with a source. `read` gives the text of a file by its path from the
 * root, or undefined when there is none.
 */
export function rewriteBlocks(
  document: string,
  read: (path: string) => string | undefined,
): RewrittenDocument {
  const lines = document.split('\n')
  const output: string[] = []
  const faults: string[] = []
  const sources: string[] = []
  let source: string | undefined
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] as string
    const fence = /^(\s*)(`{3,}|~{3,})\s*([\w-]*)/.exec(line)
    const marker = /^\s*<!-- source: (\S+) -->\s*$/.exec(line)?.[1]
    if (marker !== undefined) {
      if (source !== undefined) faults.push(`line ${at + 1}: the source ${source} has no block`)
      source = marker
    }
    if (fence === null) {
      if (marker === undefined && line.trim() !== '' && source !== undefined) {
        faults.push(`line ${at + 1}: a block must follow the source ${source}`)
        source = undefined
      }
      output.push(line)
      continue
    }
    const [, indent = '', ticks = '```', language = ''] = fence
    const end = closingLine(lines, at, ticks)
    if (end === undefined) {
      faults.push(`line ${at + 1}: the block has no end`)
      return { text: document, faults, sources }
    }
    let body = lines.slice(at + 1, end)
    let opening = line
    if (source !== undefined) {
      sources.push(source.replace(/#.*$/, ''))
      const found = readRegion(source, read)
      if (typeof found === 'string') faults.push(`line ${at + 1}: ${found}`)
      else {
        body = found.map(text => (text === '' ? '' : indent + text))
        opening = `${indent}${ticks}${language || languageFor(source)}`
      }
      source = undefined
    } else if (executable.has(language)) {
      faults.push(`line ${at + 1}: a ${language} block without a source`)
    }
    output.push(opening, ...body, lines[end] as string)
    at = end
  }
  if (source !== undefined) faults.push(`the source ${source} has no block`)
  return { text: output.join('\n'), faults, sources }
}

function closingLine(lines: readonly string[], from: number, ticks: string): number | undefined {
  const at = lines.findIndex((line, index) => index > from && line.trim() === ticks)
  return at === -1 ? undefined : at
}

function languageFor(source: string): string {
  const extension = source.replace(/#.*$/, '').split('.').at(-1) ?? ''
  return languageOf[extension] ?? extension
}

/** The lines of a region, or a sentence that says why there are none. */
function readRegion(source: string, read: (path: string) => string | undefined): string[] | string {
  const [path = '', region] = source.split('#')
  const text = read(path)
  if (text === undefined) return `${path} does not exist`
  const lines = text.replace(/\n$/, '').split('\n')
  if (region === undefined) return dedent(lines.filter(line => !isMark(line)))
  const start = lines.findIndex(line => markOf(line)?.start === region)
  if (start === -1) return `${path} has no region ${region}`
  let depth = 1
  for (let at = start + 1; at < lines.length; at += 1) {
    const mark = markOf(lines[at] as string)
    if (mark !== undefined) depth += mark.start === undefined ? -1 : 1
    if (depth === 0) return dedent(lines.slice(start + 1, at).filter(line => !isMark(line)))
  }
  return `the region ${region} of ${path} has no end`
}

function markOf(line: string): { start: string | undefined } | undefined {
  const match = /^\s*(?:\/\/|#)\s*#(region|endregion)\b\s*([\w-]*)/.exec(line)
  return match === null ? undefined : { start: match[1] === 'region' ? match[2] : undefined }
}

function isMark(line: string): boolean {
  return markOf(line) !== undefined
}

function dedent(lines: readonly string[]): string[] {
  const filled = lines.filter(line => line.trim() !== '')
  const indent = Math.min(...filled.map(line => line.length - line.trimStart().length))
  const cut = lines.map(line => (line.trim() === '' ? '' : line.slice(indent)))
  while (cut[0] === '') cut.shift()
  while (cut.at(-1) === '') cut.pop()
  return cut
}
