/** Goes round the rows of a map, and removes what ended longer ago than the grace: a row a step, and no timer. */
import { PRUNE_GRACE_SECONDS } from '../core/revocation.js'

export class MemorySweep<Row extends { readonly keptUntil: number }> {
  readonly #rows: Map<string, Row>
  #round: Iterator<[string, Row]>

  constructor(rows: Map<string, Row>) {
    this.#rows = rows
    this.#round = rows.entries()
  }

  step(now: number): void {
    let next = this.#round.next()
    if (next.done === true) {
      this.#round = this.#rows.entries()
      next = this.#round.next()
      if (next.done === true) return
    }
    const [key, row] = next.value
    if (row.keptUntil + PRUNE_GRACE_SECONDS <= now) this.#rows.delete(key)
  }
}
