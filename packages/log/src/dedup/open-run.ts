/** Opening and closing the files of runs. */
import { isError, type Disk, type DiskFile } from '@millrace/core'
import { logErrors } from '../errors.ts'
import { TEXT } from './id-key.ts'
import { footerWords, goOn } from './manifest.ts'
import { damaged, readPages } from './page-cache.ts'
import { createMemory, faultOfPage, FOOTER, HEAD_WORDS, PAGE_BYTES, typeOf } from './pages.ts'
import type { Run, RunFacts } from './run.ts'
import { openedRun, runPath, textsPath } from './run-writer.ts'

/** Opens the runs that a manifest names; all or none. */
export async function openRuns(
  disk: Disk,
  directory: string,
  facts: readonly RunFacts[],
): Promise<readonly Run[]> {
  const runs: Run[] = []
  try {
    for (const each of facts) runs.push(await openRun(disk, directory, each))
    return runs
  } catch (error) {
    for (const run of runs) await closeRun(run)
    throw error
  }
}

/** Closes the files of a run. */
export async function closeRun(run: Run): Promise<void> {
  await run.file.file.close()
  await run.texts?.file.close()
}

/** Opens a run that the manifest names; LOG_DAMAGED when its files are not as the manifest says. */
async function openRun(disk: Disk, directory: string, facts: RunFacts): Promise<Run> {
  const file = await openFile(disk, directory, runPath(directory, facts.number))
  let textFile: DiskFile | undefined
  try {
    if (facts.kind === TEXT) {
      textFile = await openFile(disk, directory, textsPath(directory, facts.number))
    }
    const run = openedRun(directory, facts, file, textFile)
    await checkRun(run, goOn(directory))
    return run
  } catch (error) {
    await file.close()
    await textFile?.close()
    throw error
  }
}

async function openFile(disk: Disk, directory: string, path: string): Promise<DiskFile> {
  try {
    return await disk.open(path, 'read')
  } catch (error) {
    if (!isError(error, 'DISK_NOT_FOUND')) throw error
    throw logErrors.create(
      'LOG_DAMAGED',
      {
        file: path,
        at: 0,
        reason: 'it is missing',
        affected: 'the index of event ids; the events themselves are not',
        goOn: goOn(directory),
      },
      error,
    )
  }
}

async function checkRun(run: Run, remedy: string): Promise<void> {
  const { facts, file, texts } = run
  const footer = createMemory(1)
  await readPages(file, facts.pages, 1, footer.bytes, 0, remedy)
  const words = footerWords(facts)
  const fault =
    faultOfPage(footer, 0, { page: facts.pages, run: facts.number }) ??
    (typeOf(footer.words, 0) === FOOTER &&
    words.every((word, index) => footer.words[HEAD_WORDS + index] === word)
      ? undefined
      : 'it is not the run that the manifest names')
  if (fault !== undefined) throw damaged(file, facts.pages, fault, remedy)
  if (texts !== undefined && (await texts.file.size()) !== facts.textPages * PAGE_BYTES) {
    throw damaged(texts, 0, 'it has the wrong size', remedy)
  }
}
