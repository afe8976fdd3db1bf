/** A system as its own process runs it: see `worker.ts`. */
export interface System {
  /** How many operations wait for their answer at a time. */
  readonly inFlight: number
  /** Makes the inputs of so many operations. Not measured. */
  prepare(count: number): unknown
  /** One operation. Throws when the answer is wrong: a system that answers wrongly is not fast. */
  run(index: number): Promise<void>
  close(): Promise<unknown>
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
