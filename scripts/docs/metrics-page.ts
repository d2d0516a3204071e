/** The reference page of metrics, from what a server exposes. */
import { readExample } from './open-example.ts'
import { code, origin, table } from './page-text.ts'

/** Figures of the process, which come from the Prometheus client as they are. */
const OF_THE_PROCESS = /^millrace_(process|nodejs)_/

/** Renders docs/reference/metrics.md. */
export async function renderMetricsPage(root: string): Promise<string> {
  const { metrics } = await readExample(root)
  const rows = [...metrics.matchAll(/^# HELP (\S+) (.*)\n# TYPE \S+ (\w+)$/gm)].flatMap(
    ([, name = '', meaning = '', type = '']) =>
      OF_THE_PROCESS.test(name)
        ? []
        : [[code(name), type, labelsOf(metrics, name).map(code).join(', '), meaning]],
  )
  return `# Metrics

${origin('the metrics of a server')}

\`GET /metrics\` answers in the exposition format of Prometheus. Beside the figures below it has those of the process, \`millrace_process_*\` and \`millrace_nodejs_*\` (memory, event loop, garbage collection), as the client library defines them.

${table(['Metric', 'Type', 'Labels', 'What it tells'], rows)}
`
}

/** The label names of a metric, as its samples show them. */
function labelsOf(metrics: string, name: string): string[] {
  const labels = new Set<string>()
  for (const [, , pairs = ''] of metrics.matchAll(
    new RegExp(`^${name}(_bucket|_sum|_count)?\\{([^}]*)\\}`, 'gm'),
  )) {
    for (const [, label = ''] of pairs.matchAll(/(\w+)="/g)) labels.add(label)
  }
  labels.delete('le')
  return [...labels]
}
