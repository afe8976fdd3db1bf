/** What the command finds by itself about the embedded file or a service, beside what the library finds on Redis. */
import type { InspectedServer } from 'rescind'
import type { Diagnosis, DiagnosisFinding } from './backend.js'

const RANKS = { critical: 0, warning: 1, info: 2 } as const

export class Findings {
  readonly #findings: DiagnosisFinding[]

  constructor(begun: readonly DiagnosisFinding[] = []) {
    this.#findings = [...begun]
  }

  add(
    code: string,
    severity: DiagnosisFinding['severity'],
    meaning: string,
    action: string,
    figures: DiagnosisFinding['figures'] = {},
  ): void {
    this.#findings.push({ code, severity, meaning, action, figures })
  }

  diagnosis(servers: readonly InspectedServer[] = []): Diagnosis {
    const findings = this.#findings.toSorted((a, b) => RANKS[a.severity] - RANKS[b.severity])
    return { findings, servers, worst: findings[0]?.severity ?? 'none' }
  }
}
