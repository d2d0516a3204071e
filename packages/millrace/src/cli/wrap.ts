/** Text in lines of at most so many characters; lines after the first are indented. */
export function wrap(text: string, columns: number, indent = ''): string {
  return text
    .split('\n')
    .map((line, index) => wrapLine(index === 0 ? line : indent + line, columns, indent))
    .join('\n')
}

function wrapLine(text: string, columns: number, indent: string): string {
  const lead = /^ */.exec(text)?.[0] ?? ''
  const lines: string[] = []
  let line = lead
  let isEmpty = true
  for (const word of text.slice(lead.length).split(' ')) {
    const candidate = isEmpty ? line + word : `${line} ${word}`
    if (!isEmpty && candidate.length > columns) {
      lines.push(line)
      line = indent + word
    } else {
      line = candidate
    }
    isEmpty = false
  }
  return [...lines, line].join('\n')
}
