// An expert's colour: hues a golden angle apart, so that neighbours differ, in two shades.

const GOLDEN_ANGLE = 137.508;

/** Gives an element its expert's hue; the style sheet makes colours of it for each theme. */
export function paint(element, expert) {
  element.style.setProperty('--hue', ((70 + expert * GOLDEN_ANGLE) % 360).toFixed(1));
  element.classList.add('expert');
  element.classList.toggle('odd', expert % 2 === 1);
}
