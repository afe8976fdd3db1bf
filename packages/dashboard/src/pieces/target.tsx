/** A target in its claims; everything, where it has none. */
import type { Target } from '../service/types.js'

export function TargetView({ target }: { readonly target: Target | undefined }) {
  const claims = Object.entries(target ?? {})
  if (claims.length === 0) return <span class="badge badge-danger">Everything</span>
  return (
    <span class="claims">
      {claims.map(([name, value]) => (
        <span class="claim" key={name}>
          <i>{name}</i>
          {String(value)}
        </span>
      ))}
    </span>
  )
}

/** In words, for what is read out or asked. */
export function targetText(target: Target): string {
  const claims = Object.entries(target).map(([name, value]) => `${name} = ${value}`)
  return claims.length === 0 ? 'everything' : claims.join(', ')
}
