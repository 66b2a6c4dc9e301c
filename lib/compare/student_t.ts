/** Student's t distribution, for intervals of a mean. */

/**
 * The t that a variable of Student's distribution stays within, on both sides of 0, with this probability.
 * @param probability above 0 and below 1; 0.95 for a 95 per cent interval
 * @param degrees of freedom, a whole number from 1: one less than the values that a mean is of
 */
export function studentT(probability: number, degrees: number): number {
  // With t = sqrt(degrees) * tan(angle), the probability rises with the angle, from 0 to 1 at a right angle.
  let [low, high] = [0, Math.PI / 2];
  for (;;) {
    const angle = (low + high) / 2;
    if (angle === low || angle === high) return Math.sqrt(degrees) * Math.tan(angle);
    if (probabilityWithin(angle, degrees) < probability) low = angle;
    else high = angle;
  }
}

/** P(|T| <= sqrt(degrees) * tan(angle)) as a finite sum: Abramowitz and Stegun, 26.7.3 (odd) and 26.7.4 (even). */
function probabilityWithin(angle: number, degrees: number): number {
  const odd = degrees % 2 === 1;
  const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
  let term = odd ? cosine : 1;
  let sum = degrees === 1 ? 0 : term;
  for (let power = odd ? 3 : 2; power <= degrees - 2; power += 2) {
    term *= ((power - 1) / power) * cosine ** 2;
    sum += term;
  }
  return odd ? (2 / Math.PI) * (angle + sine * sum) : sine * sum;
}
