// Sums, shares and entropies of counts, and numbers as a person reads them.

export const sum = counts => counts.reduce((all, count) => all + count, 0);

/** Entropy in bits of counts. */
export function entropy(counts) {
  const all = sum(counts);
  return -sum(counts.filter(count => count > 0).map(count => (count / all) * Math.log2(count / all))) || 0;
}

export const percent = (count, all) => `${(all === 0 ? 0 : (100 * count) / all).toFixed(1)}\u00a0%`;

/** A number of about four digits, such as 12,345, 1.625 or 3.42e-4. */
export const number = value =>
  Math.abs(value) < 1e-3 && value !== 0
    ? value.toExponential(2)
    : value.toLocaleString('en', { maximumFractionDigits: Math.abs(value) < 100 ? 4 : 0 });
