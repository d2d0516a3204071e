import { defineErrors } from '@millrace/core'

/** What an export, or the import of one, refuses. */
export const exportErrors = defineErrors({
  EXPORT_NOT_EMPTY: {
    status: 409,
    retryable: false,
    message: 'The folder {folder} cannot take an export: it holds {found}.',
    remedy: 'Name an empty folder, or one that is not there yet.',
  },
  EXPORT_CUT_SHORT: {
    status: 503,
    retryable: true,
    message: 'The export ended before its end: {reason}.',
    remedy: 'Run it again, into an empty folder: without export.json this one is not whole.',
  },
  EXPORT_MISSING: {
    status: 404,
    retryable: false,
    message: 'There is no export in {folder}: {reason}.',
    remedy: 'Name a folder that `millrace export` wrote to its end: export.json is written last.',
  },
  EXPORT_DAMAGED: {
    status: 409,
    retryable: false,
    message: '{file} is not as it was exported: {reason} ({place}).',
    remedy:
      'Take another copy of the export. When the file was changed on purpose, write its `bytes`, `sha256` and `records` into export.json.',
  },
  EXPORT_FORMAT_UNKNOWN: {
    status: 409,
    retryable: false,
    message: '{folder} is an export of format {found}; this version reads format {known}.',
    remedy: 'Import it with the version of Millrace that wrote it, or with a later one.',
  },
  EXPORT_INCOMPLETE: {
    status: 409,
    retryable: false,
    message: 'The export {folder} cannot be imported: {reason}.',
    remedy: 'Export everything: millrace export --to <folder> --personal',
  },
  EXPORT_OF_OTHER: {
    status: 409,
    retryable: false,
    message: 'The export is of the app {app}, this is {other}.',
    remedy: 'Name the app of the export with --app.',
  },
  EXPORT_TARGET_OTHER: {
    status: 409,
    retryable: false,
    message: 'The log holds what is not of this export: {reason}.',
    remedy:
      'Import into a data directory or database that holds nothing; an import that was interrupted goes on by itself.',
  },
})
