/** JSON that a client sends. */

export type JsonResult =
  | { readonly value: unknown; readonly problem?: undefined }
  | { readonly problem: string; readonly value?: undefined }

/** Never throws. Refuses `__proto__`, which what reads objects may skip: a target would lose a claim and mean more. */
export function readJson(text: string): JsonResult {
  let hasProto = false
  try {
    const value: unknown = JSON.parse(text, (name, member: unknown) => {
      hasProto ||= name === '__proto__'
      return member
    })
    return hasProto ? { problem: 'has a member "__proto__"' } : { value }
  } catch {
    return { problem: 'is not JSON' }
  }
}
