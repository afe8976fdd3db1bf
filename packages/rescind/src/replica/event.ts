/** What a replica has to say while it works. */
import type { RescindError } from '../errors.js'

/** What a replica has to say while it works. */
export interface ReplicaEvent {
  /**
   * `fresh`: it follows the log. `stale`: the store does not answer. `reread`: the log did not continue what was
   * read, and is read again. `reseeded`: what the store had lost was given back, so many `entries`; `reseed-failed`:
   * the store does not take it back (this node may lack the right; another may have it). `gap`: a part of the log
   * was lost before it was read: a node that starts with it is not fresh until another has given the part back.
   * `silent`: the node cannot announce itself (it may lack the right), so no receipt waits for it.
   */
  readonly type: 'fresh' | 'stale' | 'reread' | 'reseeded' | 'reseed-failed' | 'gap' | 'silent'
  readonly cause?: RescindError
  /** Of `reseeded`. */
  readonly entries?: number
}
