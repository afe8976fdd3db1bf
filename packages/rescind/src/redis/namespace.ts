/**
 * The name under which everything of one system stands on Redis, and the number of partitions it is spread over.
 */

export const NAMESPACE = /^[A-Za-z0-9._-]{1,64}$/
export const PARTITIONS: readonly number[] = [1, 2, 4, 8, 16, 32, 64]

/** What is wrong with them, in words that a person can act on. */
export function namespaceProblems(namespace: string, partitions: number): string[] {
  const problems: string[] = []
  if (!NAMESPACE.test(namespace)) problems.push('namespace must be 1 to 64 letters, digits, "-", "_" or "."')
  if (!PARTITIONS.includes(partitions)) problems.push(`partitions must be one of ${PARTITIONS.join(', ')}`)
  return problems
}

/** The channel of the doorbell. */
export function bellChannel(namespace: string): string {
  return `rescind:{${namespace}}:bell`
}
