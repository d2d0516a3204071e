/** Text in lines of at most so many characters; lines after the first are indented. */
export function wrap(text: string, columns: number, indent = ''): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const candidate = line === '' ? word : `${line} ${word}`
    if (line.trim() !== '' && candidate.length > columns) {
      lines.push(line)
      line = indent + word
    } else {
      line = candidate
    }
  }
  return [...lines, line].join('\n')
}
