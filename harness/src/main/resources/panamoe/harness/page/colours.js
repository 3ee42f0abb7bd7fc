// An expert's colour: one of the palette of eight, hatched in every second eight.

/** More experts than this have numbers, because colours repeat. */
export const PALETTE = 8;

/** Gives an element its expert's colour; the style sheet has one for each theme. */
export function paint(element, expert) {
  element.style.setProperty('--own', `var(--c${expert % PALETTE})`);
  element.classList.add('expert');
  element.classList.toggle('hatched', Math.floor(expert / PALETTE) % 2 === 1);
}
