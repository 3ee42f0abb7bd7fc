// Whether the colours of eight experts stay apart for the colour-blind, as the browser simulates them.

import assert from 'node:assert/strict';

const APART = 0.05; // in OKLab, where 0.02 is just seen
const KINDS = ['none', 'deuteranopia', 'protanopia', 'tritanopia', 'achromatopsia'];

/**
 * Checks the legend's swatches.
 *
 * @param {import('playwright-core').Page} tab
 * @param {(kind: string) => Promise<void>} onKind is called while a kind of colour blindness is simulated
 */
export async function apart(tab, onKind) {
  const canvas = await tab.context().browser().newPage();
  const devtools = await tab.context().newCDPSession(tab);
  for (const type of KINDS) {
    await devtools.send('Emulation.setEmulatedVisionDeficiency', { type });
    await onKind(type);
    const swatches = [];
    for (let expert = 0; expert < 8 && type !== 'achromatopsia'; expert++) {
      const picture = await tab.locator(`#legend [data-expert="${expert}"] .swatch`).screenshot();
      swatches.push(await canvas.evaluate(middle, picture.toString('base64')));
    }
    for (const [at, one] of swatches.entries()) {
      for (const [other, two] of swatches.slice(at + 1).entries()) {
        const distance = Math.hypot(...one.map((value, axis) => value - two[axis]));
        assert.ok(distance > APART, `${type}: colours ${at} and ${at + 1 + other} are ${distance} apart`);
      }
    }
  }
  await devtools.send('Emulation.setEmulatedVisionDeficiency', { type: 'none' });
  await canvas.close();
}

/** The colour in the middle of a picture, in OKLab. */
async function middle(png) {
  const picture = new Image();
  picture.src = `data:image/png;base64,${png}`;
  await picture.decode();
  const context = Object.assign(document.createElement('canvas'), { width: picture.width, height: picture.height }).getContext('2d');
  context.drawImage(picture, 0, 0);
  const pixel = context.getImageData(picture.width / 2, picture.height / 2, 1, 1).data;
  const [r, g, b] = [...pixel].slice(0, 3).map(value => value / 255)
    .map(value => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s, 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s];
}
