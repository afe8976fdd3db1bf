/**
 * Methods of strings, taken once. Strings have many maps in V8 (flat, cut, joined, internalized …), and where a
 * program has shown a place more than four of them, `text.charCodeAt` is looked up anew for each character, at four
 * times the cost. A bound call is as fast as the method at its best.
 */
const { call } = Function.prototype

/** `text.charCodeAt(index)`. */
export const charCodeOf: (text: string, index: number) => number = call.bind(String.prototype.charCodeAt)

/** `text.isWellFormed()`: without lone surrogates. */
export const isWellFormed: (text: string) => boolean = call.bind(String.prototype.isWellFormed)
