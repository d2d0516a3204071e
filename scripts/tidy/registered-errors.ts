/** Rules about the errors that packages register. */
import { visitNodes, type Finding, type SourceFile } from './sources.ts'

/** One code of one registry. */
export interface RegisteredError {
  readonly code: string
  readonly path: string
}

/** The codes that the errors.ts files register, read from the syntax tree of `defineErrors({…})`. */
export function registeredErrors(files: readonly SourceFile[]): RegisteredError[] {
  return files.flatMap(file => {
    if (!/^packages\/[^/]+\/src\/(.*\/)?errors\.ts$/.test(file.path) || file.tree === undefined)
      return []
    const found: RegisteredError[] = []
    visitNodes(file.tree.program, node => {
      if (node.type !== 'CallExpression' || node.callee.type !== 'Identifier') return
      const [specs] = node.arguments
      if (node.callee.name !== 'defineErrors' || specs?.type !== 'ObjectExpression') return
      for (const property of specs.properties) {
        if (property.type !== 'Property') continue
        const { key } = property
        if (key.type === 'Identifier') found.push({ code: key.name, path: file.path })
        else if (key.type === 'Literal') found.push({ code: String(key.value), path: file.path })
      }
    })
    return found
  })
}

/** Codes that are badly spelt, registered twice, or never thrown. */
export function findErrorFaults(files: readonly SourceFile[]): Finding[] {
  const registered = registeredErrors(files)
  const used = new Set(
    files
      .filter(({ kind, path }) => kind === 'product' && path.startsWith('packages/'))
      .flatMap(({ text }) =>
        [...text.matchAll(/'([A-Z][A-Z0-9_]+)'/g)].map(match => match[1] as string),
      ),
  )
  return registered.flatMap(({ code, path }, at) => {
    const fault = (message: string): Finding => ({
      rule: 'errors',
      place: path,
      message: `${code} ${message}`,
    })
    const first = registered.findIndex(other => other.code === code)
    return [
      ...(/^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/.test(code) ? [] : [fault('is not UPPER_SNAKE')]),
      ...(first === at ? [] : [fault(`is registered in ${registered[first]?.path} too`)]),
      ...(used.has(code) ? [] : [fault('is never thrown')]),
    ]
  })
}
