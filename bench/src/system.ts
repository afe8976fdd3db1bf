/** A system as its own process runs it: see `worker.ts`. */
export type System = WaitingSystem | DirectSystem

interface Prepared {
  /** Makes the inputs of so many operations. Not measured. */
  prepare(count: number): unknown
  /** At most so many operations are prepared at a time. Default: what the worker holds for sensible. */
  readonly batchMax?: number
  close(): Promise<unknown>
}

/** Its operations wait for something. */
export interface WaitingSystem extends Prepared {
  /** How many operations wait for their answer at a time. */
  readonly inFlight: number
  /** One operation. Throws when the answer is wrong: a system that answers wrongly is not fast. */
  run(index: number): Promise<void>
}

/** Its operations answer at once, so that a promise for each would be most of what is measured. */
export interface DirectSystem extends Prepared {
  /** The operations from 0 on, one after another. Throws when an answer is wrong. */
  runAll(count: number): void
}

/** What all systems of a run share, sent to their processes as JSON. */
export type Shared = Readonly<Record<string, string | number>>

/** What a module of systems exports as `systems`, by the name of the system. */
export type Systems = Readonly<Record<string, (shared: Shared) => Promise<System>>>

export function sharedText(shared: Shared, name: string): string {
  const value = shared[name]
  if (typeof value !== 'string') throw new Error(`${name} was not given to this process`)
  return value
}

export function sharedNumber(shared: Shared, name: string): number {
  const value = shared[name]
  if (typeof value !== 'number') throw new Error(`${name} was not given to this process`)
  return value
}
