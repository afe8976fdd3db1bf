/** Revocations and targets in words and rows, for people. */
import type { Preview, Receipt, Revocation, Target } from 'rescind'
import { type Output, printable } from './output.js'
import { isoOf, relativeTo, timeOf } from './time.js'

/** `sub=alice client_id=app`; `everything` for the empty one. */
export function targetText(target: Target): string {
  const claims = Object.entries(target).map(
    ([name, value]) => `${printable(name)}=${printable(String(value))}`,
  )
  return claims.length === 0 ? 'everything' : claims.join(' ')
}

/** Which tokens of the target are dead. */
export function issuedText(issuedBefore: number | null, now: number): string {
  return issuedBefore === null ? 'whenever issued' : `issued until ${timeOf(issuedBefore, now)}`
}

export function revocationRows(revocations: readonly Revocation[], now: number): string[][] {
  return revocations.map(({ target, issuedBefore, revokedAt, expiresAt, actor, reason }) => [
    targetText(target),
    issuedBefore === null ? 'any' : isoOf(issuedBefore),
    relativeTo(revokedAt, now),
    timeOf(expiresAt, now),
    printable(actor ?? '-'),
    printable(reason ?? '-'),
  ])
}

export const REVOCATION_HEAD = ['TARGET', 'ISSUED UNTIL', 'REVOKED', 'DEAD UNTIL', 'BY', 'REASON'] as const

export function receiptLines(output: Output, receipt: Receipt, now: number): string[] {
  const { colors } = output
  const { target, issuedBefore, expiresAt, reason, actor, ack, nodes } = receipt
  const sure =
    ack === 'everywhere' ? `${ack}: ${(nodes ?? []).map(printable).join(', ') || 'no node lives'}` : ack
  return [
    `${colors.red('Revoked')} ${colors.bold(targetText(target))}`,
    ...output.pairs([
      ['tokens', issuedText(issuedBefore, now)],
      ['dead until', timeOf(expiresAt, now)],
      ...(reason === undefined ? [] : [['reason', printable(reason)] as const]),
      ...(actor === undefined ? [] : [['by', printable(actor)] as const]),
      ['confirmed', sure],
    ]),
  ]
}

const EFFECTS = {
  new: 'nothing stands under this target: it would be new',
  extends: 'it would extend what stands',
  none: 'nothing: what stands says as much already',
} as const
const SCOPES = {
  token: 'one token',
  claims: 'every token that carries these claims',
  everything: 'every token of everybody',
} as const

export function previewLines(output: Output, preview: Preview, now: number): string[] {
  const { colors } = output
  return [
    `${colors.yellow('Would revoke')} ${colors.bold(targetText(preview.target))} (nothing was done)`,
    ...output.pairs([
      ['scope', SCOPES[preview.scope]],
      ['tokens', issuedText(preview.issuedBefore, now)],
      ['dead until', timeOf(preview.expiresAt, now)],
      ['effect', EFFECTS[preview.effect]],
    ]),
    ...(preview.standing.length === 0
      ? []
      : ['', 'What stands:', ...output.table(REVOCATION_HEAD, revocationRows(preview.standing, now))]),
  ]
}
