export { openFileLog, type FileEventLog, type FileLogPorts, type LogHold } from './file-log.ts'
export { type FileLogOptions } from './options.ts'
export { createSplitThread } from './split-thread.ts'
export { openFileLogView, type LogView } from './log-view.ts'
