import { defineErrors } from '@millrace/core'

/** What an import refuses as a whole; single rows are refused with a `RowCode` and counted. */
export const importErrors = defineErrors({
  IMPORT_SOURCE_MISSING: {
    status: 404,
    retryable: false,
    message: 'There is nothing to import at {path}: {reason}.',
    remedy: 'Name a file, a folder or a zip archive that exists and can be read.',
  },
  IMPORT_ARCHIVE_INVALID: {
    status: 400,
    retryable: false,
    message: '{file} cannot be unpacked: {reason}.',
    remedy: 'Get the file again, or unpack it yourself and import what is inside.',
  },
  IMPORT_LIMIT_EXCEEDED: {
    status: 413,
    retryable: false,
    message: '{file} is beyond a limit of the importer: {reason}.',
    remedy: 'Check the file; unpack or split it yourself when it is what it should be.',
  },
  IMPORT_NOT_RECOGNISED: {
    status: 400,
    retryable: false,
    message: '{path} is not laid out as expected: {reason}.',
    remedy: '{next}',
  },
  IMPORT_EMPTY: {
    status: 400,
    retryable: false,
    message: '{file} holds no rows.',
    remedy: 'Check that it is the right file, and that it was written completely.',
  },
  IMPORT_MAPPING_INVALID: {
    status: 400,
    retryable: false,
    message: 'The columns of {file} cannot be mapped: {reason}.',
    remedy: '{next}',
  },
  IMPORT_ROWS_UNFIT: {
    status: 400,
    retryable: false,
    message: 'None of the first {count} rows of {file} fits. Line {line}: {reason}.',
    remedy: 'Correct --map, --event or --items, or the file; nothing was appended.',
  },
  IMPORT_CHECK_FAILED: {
    status: 400,
    retryable: false,
    message: 'The check {check} fails in {failed} of {judged} {unit}, first at {place}: {reason}.',
    remedy:
      'Correct the file, or the check; nothing was appended. --check tells what all checks say.',
  },
  IMPORT_MAPPED_BEFORE: {
    status: 409,
    retryable: false,
    message:
      'The rows of {file} were imported before by another mapping, which stands. Line {line}: {reason}.',
    remedy:
      'Nothing was appended: rows under two mappings would count twice. Import by the mapping of before, or all of it into a new data directory (--data); --dry-run shows what a mapping makes of the rows.',
  },
  IMPORT_WORK_INVALID: {
    status: 500,
    retryable: false,
    message: 'The sorted rows of an earlier import in {path} are damaged: {reason}.',
    remedy: 'Remove that folder and import again; what was written before is recognised.',
  },
})
