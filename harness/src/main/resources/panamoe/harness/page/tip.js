// The tip: a few lines about what is under the pointer, or chosen by a key.

const tip = document.getElementById('tip');

/**
 * A line of the tip.
 * @typedef {{text: string, swatch?: (element: HTMLElement) => void}} Line
 */

/**
 * Shows the tip below a box, or above it where there is no room.
 *
 * @param {Line[]} lines
 * @param {DOMRect} box in the window
 */
export function showTip(lines, box) {
  tip.replaceChildren(...lines.map(tipLine));
  tip.togglePopover(true); // above a sheet
  const left = Math.min(box.left, document.documentElement.clientWidth - tip.offsetWidth - 8);
  const below = box.bottom + 8;
  const fits = below + tip.offsetHeight < document.documentElement.clientHeight;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${fits ? below : box.top - tip.offsetHeight - 8}px`;
}

export function hideTip() {
  tip.togglePopover(false);
}

function tipLine({ text, swatch }) {
  const element = document.createElement('div');
  if (swatch) {
    const square = element.appendChild(document.createElement('i'));
    square.className = 'swatch';
    swatch(square);
  }
  element.append(text);
  return element;
}
