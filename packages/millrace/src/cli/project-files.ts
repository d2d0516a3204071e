/** The files of a new project. */

/** What a new project is made with. */
export interface ProjectOptions {
  readonly name: string
  /** Version range or `file:` path of the package `millrace`. */
  readonly dependency: string
  /** The user's own Node is too old: the project brings one along. */
  readonly needsNode: boolean
}

/** The files by name. */
export function projectFiles({
  name,
  dependency,
  needsNode,
}: ProjectOptions): Readonly<Record<string, string>> {
  return {
    'package.json': `${JSON.stringify(manifest({ name, dependency, needsNode }), undefined, 2)}\n`,
    'app.ts': appSource(name),
    'events.ndjson': sampleEvents(),
    'tsconfig.json': `${JSON.stringify(TSCONFIG, undefined, 2)}\n`,
    '.gitignore': 'node_modules/\n.millrace/\n',
    'README.md': readme(name),
  }
}

function manifest({ name, dependency, needsNode }: ProjectOptions): unknown {
  return {
    name,
    private: true,
    type: 'module',
    scripts: {
      start: 'millrace start',
      dev: 'millrace dev',
      seed: 'millrace track --file events.ndjson',
      check: 'tsc',
    },
    engines: { node: '>=24' },
    dependencies: { millrace: dependency },
    devDependencies: { ...(needsNode ? { node: '^24.0.0' } : {}), typescript: '^7.0.0' },
    ...(needsNode ? { allowScripts: { node: true } } : {}),
  }
}

const TSCONFIG = {
  compilerOptions: {
    target: 'esnext',
    module: 'nodenext',
    strict: true,
    noEmit: true,
    erasableSyntaxOnly: true,
    verbatimModuleSyntax: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
  },
}

function appSource(name: string): string {
  return `import { defineApp, event, id, int, item, signal, surface, text } from 'millrace'

const article = item('article', {
  title: text(),
  topics: text().many(),
  author: text().optional(),
})

const read = event(
  'read',
  { reader: id('person'), article: id('article'), seconds: int({ min: 0 }) },
  { key: 'reader' },
)

export default defineApp({
  name: '${name}',
  items: [article],
  events: [read],
  // Half a minute of reading is an ordinary sign of interest, more of it a stronger one.
  signals: [signal(read, { item: 'article', weight: data => Math.min(3, data.seconds / 30) })],
  surfaces: { home: surface({ items: article, explore: 0.1 }) },
})
`
}

const ARTICLES: readonly (readonly [id: string, title: string, ...topics: string[]])[] = [
  ['a1', 'How mills turned water into work', 'history', 'engineering'],
  ['a2', 'The mathematics of gears', 'engineering', 'mathematics'],
  ['a3', 'A short history of bread', 'history', 'food'],
  ['a4', 'Sourdough in six steps', 'food'],
  ['a5', 'Rivers from above', 'nature', 'photography'],
  ['a6', 'The otter comes back', 'nature'],
  ['a7', 'Why bridges hum', 'engineering'],
  ['a8', 'Soup for cold evenings', 'food'],
]
const READS: readonly (readonly [reader: string, article: string, seconds: number])[] = [
  ['ada', 'a2', 140],
  ['ada', 'a7', 95],
  ['ben', 'a3', 80],
  ['ben', 'a4', 120],
  ['ben', 'a8', 60],
  ['cleo', 'a5', 70],
  ['cleo', 'a6', 110],
  ['dan', 'a2', 90],
  ['dan', 'a1', 130],
  ['dan', 'a7', 45],
  ['eva', 'a4', 75],
  ['eva', 'a8', 100],
  ['eva', 'a3', 20],
]

function sampleEvents(): string {
  const puts = ARTICLES.map(([articleId, title, ...topics]) => ({
    type: 'article.put',
    id: `sample-${articleId}`,
    data: { id: articleId, attributes: { title, topics } },
  }))
  const reads = READS.map(([reader, article, seconds]) => ({
    type: 'read',
    id: `sample-${reader}-${article}`,
    data: { reader, article, seconds },
  }))
  return `${[...puts, ...reads].map(sample => JSON.stringify(sample)).join('\n')}\n`
}

function readme(name: string): string {
  return `# ${name}

A content product on [Millrace](https://www.npmjs.com/package/millrace): events in, recommendations out.

    npm install
    npm run dev        # serves the product, starts again when app.ts changes

In another terminal:

    npm run seed       # some articles and who read them
    npx millrace recommend --surface home --person ada --explain
    npx millrace track read reader=ada article=a5 seconds=90
    npx millrace recommend --surface home --person ada --explain
    npm run check      # types of app.ts

- \`app.ts\` declares the product: events, items, signals, surfaces.
- \`.millrace/\` holds the data; remove it to begin again.
- \`millrace --help\` lists the commands; the server documents itself at \`/docs\`.
`
}
