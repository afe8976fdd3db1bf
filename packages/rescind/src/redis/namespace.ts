/**
 * The name under which everything of one system stands on Redis, and the number of partitions it is spread over.
 */

const NAMESPACE = /^[A-Za-z0-9._-]{1,64}$/
const PARTITIONS: readonly number[] = [1, 2, 4, 8, 16, 32, 64]

/** What is wrong with them, in words that a person can act on. `nameOf`: what the user calls them. */
export function namespaceProblems(
  namespace: string,
  partitions: number,
  nameOf: (option: 'namespace' | 'partitions') => string = (option) => option,
): string[] {
  const problems: string[] = []
  if (!NAMESPACE.test(namespace))
    problems.push(`${nameOf('namespace')} must be 1 to 64 letters, digits, "-", "_" or "."`)
  if (!PARTITIONS.includes(partitions))
    problems.push(`${nameOf('partitions')} must be one of ${PARTITIONS.join(', ')}`)
  return problems
}

/** The channel of the doorbell. */
export function bellChannel(namespace: string): string {
  return `rescind:{${namespace}}:bell`
}

/**
 * Under which the service keeps its clients, answers and audit trail: who writes there and the rights to it (`acl`) must
 * mean the same.
 */
export function recordsPrefix(namespace: string): string {
  return `rescind:{${namespace}}:`
}
