/** `/restorations`: what was revoked for exactly this target is void. */
import type { Parts } from '../parts.js'
import { recordChange } from '../audit.js'
import { type Endpoint, endpoint } from './endpoint.js'
import { namedBy } from './named.js'
import { answeredTarget, checked, namedFields, namedProblems, reason, scope, z } from './schema.js'

const body = checked(z.strictObject({ ...namedFields, reason: reason.optional() }), namedProblems)
const restoration = z
  .strictObject({
    restored: z.boolean().openapi({ description: 'There was something to restore' }),
    scope,
    target: answeredTarget.optional().openapi({ description: 'Absent for everything' }),
  })
  .openapi('Restoration')

export function restorationEndpoints(parts: Parts): readonly Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/restorations',
      tag: 'Revocations',
      summary: 'Restore',
      description:
        'Voids what was revoked for exactly this target. A token stays dead when another target covers it, too.',
      roles: ['revoke:any'],
      body,
      answer: restoration,
      isRepeatable: true,
      failures: { 422: 'The token is not genuine or has expired' },
      handle: async ({ body: wanted, client }) => {
        const { scope: reached, target, subject } = await namedBy(parts, wanted)
        const restored = await parts.manager.restore(subject)
        if (restored)
          await recordChange(parts, {
            ...{ client, operation: 'restore', scope: reached, target, reason: wanted.reason, via: 'api' },
          })
        return { restored, scope: reached, target }
      },
    }),
  ]
}
