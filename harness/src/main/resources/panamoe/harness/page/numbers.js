// Sums, shares and entropies of counts.

export const sum = counts => counts.reduce((all, count) => all + count, 0);

/** Entropy in bits of counts. */
export function entropy(counts) {
  const all = sum(counts);
  return -sum(counts.filter(count => count > 0).map(count => (count / all) * Math.log2(count / all))) || 0;
}

export const percent = (count, all) => `${(all === 0 ? 0 : (100 * count) / all).toFixed(1)}\u00a0%`;
