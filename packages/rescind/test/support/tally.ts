/** What a run of tests comes to, file by file, so that a second run of some of them can stand in its place. */
export interface FileTally {
  readonly path: string
  readonly passed: number
  /** Hooks that failed count too, and what was thrown beside all tests. */
  readonly failed: number
  readonly skipped: number
  /** What the numbers do not tell. */
  readonly remarks: readonly string[]
}

export interface Tally {
  readonly files: readonly FileTally[]
  /** Failures of no file that is known. */
  readonly unplaced: number
}

/** Ends with the line `N passed, N failed`; before it stand the remarks. */
export function closingText({ files, unplaced }: Tally): string {
  const sum = (part: 'passed' | 'failed' | 'skipped') => files.reduce((total, file) => total + file[part], 0)
  const skipped = sum('skipped')
  const total = `${sum('passed')} passed, ${failuresIn({ files, unplaced })} failed`
  return [
    ...files.flatMap(({ remarks }) => remarks),
    `${total}${skipped === 0 ? '' : `, ${skipped} skipped`}`,
  ].join('\n')
}

export function failuresIn({ files, unplaced }: Tally): number {
  return files.reduce((total, { failed }) => total + failed, unplaced)
}

export function failedFiles({ files }: Tally): string[] {
  return [...new Set(files.filter(({ failed }) => failed > 0).map(({ path }) => path))]
}

/** What a second run of the failed files says of them stands for what the first said, with a remark for each. */
export function withSecondRun(first: Tally, second: Tally): Tally {
  const again = new Set(failedFiles(first))
  const repeated = second.files.map((file) => ({
    ...file,
    remarks: [
      ...file.remarks,
      ...(file.failed > 0
        ? []
        : [`Unsteady: ${file.path} failed at first, and passed when run again by itself`]),
    ],
  }))
  const missing = [...again].filter((path) => !second.files.some((file) => file.path === path))
  return {
    files: [...first.files.filter(({ path }) => !again.has(path)), ...repeated],
    unplaced: first.unplaced + second.unplaced + missing.length,
  }
}
