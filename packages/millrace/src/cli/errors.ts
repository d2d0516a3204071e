import { defineErrors } from '@millrace/core'

/** What the command line refuses by itself; everything else it passes on as it was said. */
export const cliErrors = defineErrors({
  CLI_USAGE: {
    status: 400,
    retryable: false,
    message: '{reason}',
    remedy: '{next}',
  },
  CLI_APP_MISSING: {
    status: 404,
    retryable: false,
    message: 'There is no app definition: {reason}.',
    remedy:
      'Run this in the folder of your app.ts, name it with --app <file>, or begin with: millrace init',
  },
  CLI_APP_INVALID: {
    status: 400,
    retryable: false,
    message: 'The app definition {file} cannot be used: {reason}',
    remedy: '{next}',
  },
  CLI_UNREACHABLE: {
    status: 503,
    retryable: true,
    message: 'No Millrace answers at {url}: {reason}.',
    remedy: 'Start one with: millrace start; or check --port and --data.',
  },
  CLI_DATA_ELSEWHERE: {
    status: 409,
    retryable: false,
    message: 'The server at {url} is not that of {directory}.',
    remedy: 'Leave one of --port and --data out: the first names a server, the second a folder.',
  },
  CLI_OWNER_SILENT: {
    status: 409,
    retryable: true,
    message:
      'The data directory {directory} belongs to process {pid}, {command}; it has not said where it answers.',
    remedy:
      'If it serves the API, name its port with --port, or let it call millrace.announce(url). Otherwise wait until it is done, or stop it: kill {pid}.',
  },
  CLI_REFUSED: {
    status: 400,
    retryable: false,
    message: '{reason}',
    remedy: '{next}',
  },
  CLI_FOLDER_TAKEN: {
    status: 409,
    retryable: false,
    message: '{folder} has {name} already.',
    remedy: 'Name another folder: millrace init <folder>. Nothing was changed.',
  },
  CLI_FAILED: {
    status: 500,
    retryable: false,
    message: 'This should not have happened: {reason}',
    remedy: 'Please report it with what you did; --verbose shows where it happened.',
  },
})
