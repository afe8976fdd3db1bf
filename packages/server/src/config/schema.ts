/**
 * The configuration file of the service, as one schema: what may stand in it, within which ranges, and what holds where
 * nothing is said. What is secret stands in files of its own, or in the environment; the hash of a secret is no secret.
 */
import { ALGORITHMS } from 'rescind'
import { z } from 'zod'
import { isRoutePath } from './route-path.js'

const text = (max = 256) => z.string().min(1).max(max)
const seconds = (min: number, max: number) => z.int().min(min).max(max)
const url = z.url({ protocol: /^https?$/ })
const oneOrMore = <T extends z.ZodType>(item: T) =>
  z.union([item.transform((one) => [one]), z.array(item).min(1).max(64)])

/** What a client may do. `revoke:own`: tokens that were issued to it; `revoke:any`: whatever a target names. */
export const ROLES = ['revoke:own', 'revoke:any', 'introspect', 'read', 'admin'] as const
export type Role = (typeof ROLES)[number]

/** An identifier that may stand in a log, a URL and an HTTP Basic user name. */
export const CLIENT_ID = /^[\x21\x23-\x24\x26-\x39\x3b-\x5b\x5d-\x7e]{1,128}$/
export const CLIENT_ID_RULE = 'must be 1 to 128 printable characters without spaces, quotes, ":" or "%"'

const jwks = z.object({ keys: z.array(z.record(z.string(), z.unknown())).min(1).max(64) })

export const issuerSchema = z
  .strictObject({
    issuer: text(1024).describe('The `iss` of its tokens, exactly'),
    audience: oneOrMore(text(1024)).nullable().describe('One of these must be in `aud`; null accepts any'),
    algorithms: z.array(z.enum(ALGORITHMS)).min(1).describe('The allow-list of RFC 8725 §3.1'),
    jwksUrl: url.optional().describe('Where it publishes its keys (https, or http on loopback)'),
    jwksAllowHttp: z.boolean().optional(),
    jwks: jwks.optional().describe('Its public keys, here'),
    jwksFile: text(4096).optional().describe('Its public keys, in a file'),
    publicKeyFile: text(4096).optional().describe('Its public key (PEM), in a file'),
    secretFile: text(4096).optional().describe('Its shared secret, for HS256, HS384 and HS512, in a file'),
    types: oneOrMore(text(128))
      .nullable()
      .default(['at+jwt'])
      .describe('`typ` of its tokens; null accepts any'),
    requiredClaims: z.array(text(128)).max(64).optional(),
    lifetimeMaxSeconds: seconds(1, 315_360_000)
      .optional()
      .describe('Refuses tokens that are older; default: the lifetime of the service'),
  })
  .describe('Who issues tokens, and how they are verified')

export const keySchema = z.strictObject({
  hash: z
    .string()
    .regex(/^scrypt\$/, 'must be made by `rescind keys hash`')
    .max(512),
  name: text(128).optional(),
  expiresAt: z.iso.datetime({ offset: true }).optional(),
})

export const clientSchema = z
  .strictObject({
    id: z.string().regex(CLIENT_ID, CLIENT_ID_RULE),
    name: text(256).optional(),
    roles: z.array(z.enum(ROLES)).min(1),
    keys: z
      .array(keySchema)
      .max(4)
      .default([])
      .describe('Hashes of its secrets or API keys; several while they are rotated'),
    jwksUrl: url
      .optional()
      .describe('Its public keys for private_key_jwt (RFC 7523); https, or http on loopback'),
    jwksAllowHttp: z.boolean().optional(),
    jwks: jwks.optional(),
    jwksFile: text(4096).optional(),
    audiences: z
      .union([z.literal('*'), z.array(text(1024)).min(1).max(64)])
      .optional()
      .describe('Whose tokens it may introspect: those for these audiences, or "*" for all'),
    ratePerMinute: z.int().min(1).max(10_000_000).optional(),
    isDisabled: z.boolean().default(false),
  })
  .describe('Who may ask the service')

/** What a route behind a gateway asks of a token. */
const policyShape = {
  scope: z.union([text(1024).transform((one) => one.split(' ')), z.array(text(256)).max(64)]).optional(),
  audience: oneOrMore(text(1024)).optional(),
  issuer: oneOrMore(text(1024)).optional(),
  consistency: z.enum(['replica', 'strict']).optional(),
  onUnknown: z.enum(['closed', 'stale', 'open']).optional(),
  staleMaxSeconds: seconds(1, 86_400).optional(),
}
export const profileSchema = z.strictObject({
  ...policyShape,
  routes: z
    .array(
      z
        .strictObject({
          path: z
            .string()
            .max(1024)
            .refine(
              isRoutePath,
              'must be a path as it reads decoded, without dot or empty segments; "*" only as its end "/*"',
            ),
          methods: z
            .array(z.string().regex(/^[A-Z]{1,16}$/))
            .min(1)
            .max(16)
            .optional(),
          public: z.boolean().default(false).describe('Lets everybody through, without a token'),
          ...policyShape,
        })
        .refine(
          (route) => !route.public || Object.keys(policyShape).every((name) => !(name in route)),
          'is public, so it cannot ask anything of a token',
        ),
    )
    .max(1000)
    .default([])
    .describe(
      'What the first that matches the path says replaces what the profile says; "/admin/*" is "/admin" and everything below',
    ),
})

export const configSchema = z.strictObject({
  listen: z
    .strictObject({
      host: text(256).default('127.0.0.1'),
      port: z.int().min(0).max(65_535).default(8484),
      tls: z.strictObject({ certFile: text(4096), keyFile: text(4096) }).optional(),
      /** How many proxies in front of it are believed when they say where a request comes from. */
      trustedHops: z.int().min(0).max(8).default(0),
    })
    .prefault({}),
  publicUrl: url
    .optional()
    .describe(
      'How clients reach it: the `issuer` of its metadata and signed answers. Default: where it listens',
    ),
  dataDir: text(4096)
    .default('.rescind')
    .describe('Where the embedded store and the keys that it makes are kept'),
  namespace: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/)
    .optional(),
  lifetimeMaxSeconds: seconds(1, 315_360_000).optional(),
  clockToleranceSeconds: seconds(0, 300).optional(),
  skewMarginSeconds: seconds(0, 86_400).optional(),
  stalenessMaxMs: z.int().min(50).max(60_000).optional(),
  issuers: z.array(issuerSchema).max(256).default([]),
  clients: z.array(clientSchema).max(10_000).default([]),
  profiles: z
    .record(z.string().regex(/^(?!(?:nginx|envoy)$)[a-z0-9][a-z0-9-]{0,63}$/), profileSchema)
    .default({})
    .describe('What gateways ask for under /verify/NAME; "default" is what they ask for under /verify'),
  signing: z
    .strictObject({
      keyFile: text(4096)
        .optional()
        .describe('A private key (PKCS#8 PEM or JWK). Default: one that it makes in dataDir'),
      algorithm: z.enum(['RS256', 'PS256', 'ES256', 'EdDSA']).default('ES256'),
    })
    .prefault({}),
  limits: z
    .strictObject({
      bodyBytesMax: z.int().min(1024).max(16_777_216).default(65_536),
      headerBytesMax: z.int().min(4096).max(1_048_576).default(16_384),
      requestTimeoutMs: z.int().min(100).max(600_000).default(10_000),
      stopTimeoutMs: z.int().min(0).max(600_000).default(10_000),
      bulkLinesMax: z.int().min(1).max(10_000_000).default(100_000),
      eventsFollowersMax: z.int().min(0).max(100_000).default(2000),
      auditEntriesMax: z.int().min(100).max(10_000_000).default(100_000),
      ratePerMinute: z
        .int()
        .min(1)
        .max(10_000_000)
        .default(60_000)
        .describe('For a client that has no rate of its own'),
      failuresPerMinute: z
        .int()
        .min(1)
        .max(100_000)
        .default(10)
        .describe('Wrong credentials of one address for one client, and ten times as many for all of them'),
    })
    .prefault({}),
  tracing: z.boolean().default(false).describe('A span a request, by OpenTelemetry'),
  log: z
    .strictObject({ level: z.enum(['silent', 'error', 'warn', 'info', 'debug']).default('info') })
    .prefault({}),
})

export type Config = z.output<typeof configSchema>
export type IssuerConfig = z.output<typeof issuerSchema>
export type ClientConfig = z.output<typeof clientSchema>
export type ProfileConfig = z.output<typeof profileSchema>
