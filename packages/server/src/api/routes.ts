/** The admin API, and the document that describes it. */
import type { Hono } from 'hono'
import type { Parts } from '../parts.js'
import { VERSION } from '../version.js'
import { Api } from './api.js'
import { addBulkEndpoint } from './bulk-endpoint.js'
import { checkEndpoints } from './checks.js'
import { clientEndpoints } from './client-endpoints.js'
import { observationEndpoints } from './observations.js'
import { restorationEndpoints } from './restorations.js'
import { revocationEndpoints } from './revocations.js'
import { Statistics } from './statistics.js'

export function apiRoutes(parts: Parts): Hono {
  const api = new Api(parts, VERSION)
  const endpoints = [
    ...revocationEndpoints(parts),
    ...restorationEndpoints(parts),
    ...checkEndpoints(parts),
    ...observationEndpoints(parts, Statistics.start(parts)),
    ...clientEndpoints(parts),
  ]
  for (const endpoint of endpoints) api.add(endpoint)
  addBulkEndpoint(api, parts)
  api.finish()
  return api.app as unknown as Hono
}
