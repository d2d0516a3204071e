/** A count in few characters: 950, 12.4k, 3.1M. */
export function formatCount(value: number): string {
  if (value < 10_000) return Math.round(value).toLocaleString('en')
  if (value < 1e6) return `${(value / 1e3).toFixed(1)}k`
  return `${(value / 1e6).toFixed(2)}M`
}

/** A duration in few characters: 45 s, 12 min, 1.5 h. */
export function formatMinutes(minutes: number): string {
  if (minutes < 1) return `${Math.round(minutes * 60)} s`
  return minutes < 90 ? `${Math.round(minutes)} min` : `${(minutes / 60).toFixed(1)} h`
}

/** How long ago, in words. */
export function formatAgo(thenMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - thenMs) / 1000))
  if (seconds < 5) return 'now'
  if (seconds < 60) return `${seconds} s ago`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`
  return seconds < 86_400
    ? `${Math.floor(seconds / 3600)} h ago`
    : `${Math.floor(seconds / 86_400)} d ago`
}

/** Bytes in few characters: 640 KB, 12.5 MB. */
export function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${Math.round(bytes / 1e3)} KB`
  return bytes < 1e9
    ? `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`
    : `${(bytes / 1e9).toFixed(2)} GB`
}
