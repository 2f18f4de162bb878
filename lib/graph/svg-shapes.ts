/** Lines and outlines of pictures, as pieces of SVG. */

/** How far the second card of an each looks out behind the first. */
export const BEHIND = 5

/** The outline of a container. */
export function frame(x: number, y: number, width: number, height: number): string {
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="12"/>`
}

/** The edge of a second card, behind the lower right of the first: there are many of it. */
export function cardBehind(x: number, y: number, width: number, height: number): string {
  const [right, bottom] = [x + width, y + height]
  return `<path class="behind" d="M${right} ${y + 12 + BEHIND}q${BEHIND} 1 ${BEHIND} 12V${bottom + BEHIND - 12}q0 12 -12 12H${x + 24}q-11 0 -12 ${-BEHIND}"/>`
}

/** A soft step: so far sideways, and so far up or down. */
export function bend(sideways: number, down: number): string {
  return `c${sideways / 2} 0 ${sideways / 2} ${down} ${sideways} ${down}`
}

/** Right-angled: so far sideways, then from one height to the other, with round corners; the pen ends past the second one. */
export function corner(sideways: number, fromY: number, toY: number): string {
  const round = 8
  const [across, down] = [Math.sign(sideways) * round, Math.sign(toY - fromY) * round]
  return `h${sideways - across}q${across} 0 ${across} ${down}V${toY - down}q0 ${down} ${-across} ${down}`
}

/** Halves of it are whole, so that lines are sharp. */
export function even(size: number): number {
  return 2 * Math.ceil(size / 2)
}
