/** How a service is, by its `/status`: what it found on its Redis, and how it stands itself. */
import type { InspectedServer } from 'rescind'
import type { Diagnosis, DiagnosisFinding } from './backend.js'
import { Findings } from './findings.js'

/** Of the answer of `/api/v1/status`. */
export interface ServiceStatus {
  readonly version: string
  readonly store: { readonly kind: string; readonly isUp: boolean; readonly failure?: string }
  readonly freshness: {
    readonly isFresh: boolean
    readonly stalenessMs: number | null
    readonly stalenessMaxMs: number
    readonly entries: number
  }
  readonly issuers: readonly string[]
  readonly doctor?: {
    readonly findings: readonly DiagnosisFinding[]
    readonly servers: readonly InspectedServer[]
  }
}

export function diagnoseService({ version, store, freshness, issuers, doctor }: ServiceStatus): Diagnosis {
  const findings = new Findings(doctor?.findings)
  if (!store.isUp)
    findings.add(
      'store_away',
      'critical',
      'The service cannot reach its store: it takes no revocations.',
      'Look at the store and at the log of the service.',
      { store: store.kind, code: store.failure ?? 'unknown' },
    )
  if (!freshness.isFresh)
    findings.add(
      'service_stale',
      'critical',
      'The service has not heard from its store for too long: checks ask the store itself, or cannot be answered.',
      'Look at the store and at the network between them.',
      { stalenessMs: freshness.stalenessMs ?? 'never', stalenessMaxMs: freshness.stalenessMaxMs },
    )
  if (store.kind === 'memory')
    findings.add(
      'memory_only',
      'critical',
      'The service keeps revocations in its memory alone: a restart forgets them all.',
      'Give it Redis (REDIS_URL) or a folder (RESCIND_DATA_DIR).',
    )
  if (issuers.length === 0)
    findings.add(
      'issuers_none',
      'warning',
      'The service knows no issuer, so it can verify no token.',
      'Name the issuers in its configuration.',
    )
  findings.add('service', 'info', 'The service has answered.', 'Nothing.', {
    version,
    entries: freshness.entries,
  })
  return findings.diagnosis(doctor?.servers)
}
