/**
 * Snapshot names as directory names: lower-case letters, digits, `-` and `_` stay, every other byte
 * of the UTF-8 form becomes `=` and two hexadecimal digits. The prefix keeps names that some file
 * systems reserve apart; capitals are encoded, so that names differing in case stay two.
 */
const PREFIX = 's-'

/** The directory name of a snapshot name: safe on every file system that takes its length. */
export function directoryOf(name: string): string {
  let text = PREFIX
  for (const byte of new TextEncoder().encode(name)) {
    const char = String.fromCharCode(byte)
    text += /[a-z0-9_-]/.test(char) ? char : `=${byte.toString(16).padStart(2, '0')}`
  }
  return text
}

/** The snapshot name of a directory name, or undefined when it is not one of ours. */
export function nameOf(directory: string): string | undefined {
  if (!/^s-([a-z0-9_-]|=[0-9a-f]{2})+$/.test(directory)) return undefined
  const bytes: number[] = []
  for (let at = PREFIX.length; at < directory.length; at++) {
    if (directory[at] === '=') {
      bytes.push(parseInt(directory.slice(at + 1, at + 3), 16))
      at += 2
    } else {
      bytes.push(directory.charCodeAt(at))
    }
  }
  const name = new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes))
  return directoryOf(name) === directory ? name : undefined
}
