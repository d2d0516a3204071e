/** How the verbs of this module lay out their answers for a terminal. */

/** Columns narrower than this are not cut any further; a line may then be too long. */
const SHRUNK_MIN = 12
const GAP = 2

/** Rows in aligned columns; the column named `shrinks` is cut until a line fits. */
export function table(options: {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
  readonly shrinks: string
  readonly columns: number
}): readonly string[] {
  const { head, rows, columns } = options
  const shrinking = head.indexOf(options.shrinks)
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map(row => (row[column] ?? '').length)))
  const total = widths.reduce((sum, width) => sum + width + GAP, -GAP)
  const shrunk = Math.max(SHRUNK_MIN, (widths[shrinking] ?? 0) - Math.max(0, total - columns))
  widths[shrinking] = Math.min(widths[shrinking] ?? 0, shrunk)
  return all.map(row =>
    row
      .map((cell, column) => {
        const width = widths[column] as number
        return (column === shrinking ? cut(cell, width) : cell).padEnd(width)
      })
      .join(' '.repeat(GAP))
      .trimEnd(),
  )
}

/** A line that begins with `lead`; what does not fit goes on below, under where it began. */
export function wrapped(lead: string, text: string, columns: number): string {
  const indent = ' '.repeat(lead.length)
  const lines: string[] = []
  let line = lead
  let isFresh = true
  for (const word of text.split(' ')) {
    if (!isFresh && line.length + 1 + word.length > columns) {
      lines.push(line)
      line = indent
      isFresh = true
    }
    line += isFresh ? word : ` ${word}`
    isFresh = false
  }
  return [...lines, line].join('\n')
}

/** At least three significant digits: a chance of 0.002 % is not 0. */
export function percent(share: number): string {
  const value = share * 100
  return `${value >= 1 || value === 0 ? Number(value.toFixed(2)) : Number(value.toPrecision(2))} %`
}

function cut(text: string, width: number): string {
  if (text.length <= width) return text
  // Never between the halves of a character.
  return `${text.slice(0, width - 1).replace(/[\ud800-\udbff]$/, '')}…`
}

/** The options of a command that were given, as a query. */
export function queryOf(
  options: Readonly<Record<string, string | boolean | undefined>>,
  names: readonly string[],
): Record<string, string> {
  const query: Record<string, string> = {}
  for (const name of names) {
    const value = options[name]
    if (value !== undefined && value !== false) query[name] = String(value)
  }
  return query
}
