import type { App } from '@millrace/core'
import type { LogRecord } from '@millrace/log'

/** Why data cannot take the place of what an event said: it must be what the event may say today, under the same key. */
export function correctionCheck(
  app: App,
): (record: LogRecord, data: unknown) => string | undefined {
  return (record, data) => {
    const declared = app.events.get(record.type)
    if (declared === undefined) return `${record.type} is no event of the definition`
    const [issue] = declared.validator.check(data) ? [] : declared.validator.issues(data)
    if (issue !== undefined) return `${issue.path}: ${issue.reason}`
    const { key } = declared.definition
    if ((data as Readonly<Record<string, unknown>>)[key] === record.key) return undefined
    return `${key} is the key of the event, which stays: retract it and send another`
  }
}
