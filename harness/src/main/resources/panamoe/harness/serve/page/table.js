// The map's counts as a table.

import { entropy, percent, sum } from './numbers.js';

/** Fills the table; nobody sees it while it is closed. */
export function showTable(details, layers, counts) {
  if (!details.open) {
    return;
  }
  details.querySelector('tbody').replaceChildren(
    ...layers.map((layer, at) => {
      const all = sum(counts[at]);
      const most = Math.max(...counts[at]);
      const cells = [
        layer.layer,
        layer.experts,
        all,
        `${entropy(counts[at]).toFixed(2)} of ${Math.log2(layer.experts).toFixed(2)}`,
        all === 0 ? '–' : `${counts[at].indexOf(most)} (${percent(most, all)})`,
        counts[at].filter(count => count === 0).length,
      ];
      const row = document.createElement('tr');
      cells.forEach(value => (row.insertCell().textContent = value));
      return row;
    }),
  );
}
