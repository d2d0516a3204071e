export { exportErrors } from './errors.ts'
export { checkFiles, readContents, RECORD_FORMATS, type ExportContents, type RecordFormat } from './folder.ts' // prettier-ignore
export { assertImportable, importExport, type ImportedExport } from './import-export.ts'
export { parseLine, splitLines } from './lines.ts'
export { exportedRecord, readRecord, type ExportedRecord } from './record.ts'
export { claimFolder, writeExport, type ExportHead } from './write-export.ts'
