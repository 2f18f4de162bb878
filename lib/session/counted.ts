/** A number with its noun, for messages: `1 grant`, `2 grants`. */
export const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`
