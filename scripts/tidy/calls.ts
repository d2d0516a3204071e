/** What product code may not call: clocks, timers, randomness, the environment, the console. */
import { dottedName, lineAt, visitNodes, type Finding, type SourceFile } from './sources.ts'

interface Ban {
  readonly rule: string
  readonly message: string
  /** Dotted names that may not be called, or, with `isAnyUse`, not be mentioned at all. */
  readonly names: RegExp
  readonly isAnyUse?: boolean
  /** Modules of Node whose import gives the same. */
  readonly modules?: RegExp
  /** Where the ban does not hold: the ports themselves and the edges of the product. */
  readonly allowedIn: RegExp
}

const browser = '^apps/console/'
const systemPorts = '^packages/core/src/system\\.ts$'

const bans: readonly Ban[] = [
  {
    rule: 'clock',
    message: 'takes the time from the machine; take a Clock as a parameter',
    names: /^(globalThis\.)?(Date\.now|performance\.now|process\.hrtime(\.bigint)?)$/,
    allowedIn: new RegExp(`${systemPorts}|${browser}`),
  },
  {
    rule: 'timers',
    message: 'starts a timer of the machine; take a Clock as a parameter',
    names: /^(globalThis\.)?set(Timeout|Interval|Immediate)$/,
    modules: /^(node:)?timers(\/promises)?$/,
    allowedIn: new RegExp(`${systemPorts}|${browser}`),
  },
  {
    rule: 'randomness',
    message: 'takes randomness from the machine; take a Random as a parameter',
    names:
      /^((globalThis\.)?Math\.random|((globalThis\.)?crypto\.)?(randomUUID|randomBytes|randomInt|getRandomValues))$/,
    allowedIn: new RegExp(systemPorts),
  },
  {
    rule: 'environment',
    message: 'reads the environment; packages/millrace/src/config.ts does that for everybody',
    names: /^(globalThis\.)?process\.env(\.|$)/,
    isAnyUse: true,
    allowedIn: /^packages\/millrace\/src\/config\.ts$/,
  },
  {
    rule: 'console',
    message: 'writes to the console; take a Logger as a parameter',
    names: /^(globalThis\.)?console\./,
    isAnyUse: true,
    allowedIn: /^packages\/millrace\/(src\/cli|bin)\/|^apps\/demo\/src\/start\.ts$/,
  },
]

/** Banned calls, and errors that are thrown without being registered. */
export function findBannedCalls(files: readonly SourceFile[]): Finding[] {
  return files.filter(isProduct).flatMap(file => {
    const findings: Finding[] = []
    const tree = file.tree
    if (tree === undefined) return findings
    const report = (rule: string, message: string, offset: number): void => {
      findings.push({ rule, place: `${file.path}:${lineAt(file.text, offset)}`, message })
    }
    const active = bans.filter(ban => !ban.allowedIn.test(file.path))
    visitNodes(tree.program, (node, parent) => {
      if (node.type === 'ImportDeclaration') {
        for (const { rule, message } of active.filter(ban =>
          ban.modules?.test(node.source.value),
        )) {
          report(rule, `import of ${node.source.value} ${message}`, node.start)
        }
      } else if (node.type === 'CallExpression') {
        const name = dottedName(node.callee)
        for (const ban of active) {
          if (name !== undefined && ban.isAnyUse !== true && ban.names.test(name)) {
            report(ban.rule, `${name}() ${ban.message}`, node.start)
          }
        }
      } else if (node.type === 'MemberExpression' && parent?.type !== 'MemberExpression') {
        const name = dottedName(node)
        for (const ban of active) {
          if (name !== undefined && ban.isAnyUse === true && ban.names.test(name)) {
            report(ban.rule, `${name} ${ban.message}`, node.start)
          }
        }
      } else if (node.type === 'NewExpression' && dottedName(node.callee) === 'Date') {
        const clock = active.find(({ rule }) => rule === 'clock')
        if (node.arguments.length === 0 && clock !== undefined) {
          report('clock', `new Date() ${clock.message}`, node.start)
        }
      }
      const isPackage = file.path.startsWith('packages/')
      if (isPackage && node.type === 'ThrowStatement' && node.argument.type === 'NewExpression') {
        const name = dottedName(node.argument.callee) ?? ''
        if (name.endsWith('Error')) {
          report('registered-errors', `throws ${name}; register the error in errors.ts`, node.start)
        }
      }
    })
    return findings
  })
}

function isProduct(file: SourceFile): boolean {
  return file.kind === 'product' && /^(packages|apps)\//.test(file.path)
}
