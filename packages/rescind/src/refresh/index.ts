/** Refresh tokens: families with rotation and detection of reuse, and tokens that their client cannot read. */
export { RefreshFamilies, type Rotation } from './families.js'
export type { RefreshClaims } from './claims.js'
export type { BeginOptions, FamilySettings, RefreshFamiliesOptions, Reuse } from './options.js'
export { SealedTokens, type SealedTokensOptions, type SealingKey } from './sealed-tokens.js'
