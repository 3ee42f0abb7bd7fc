// A crosshair over curves: what they are worth under the pointer, or at a place that arrow keys choose. Charts of the
// same x axis follow each other.

import { hideTip, showTip } from './tip.js';

const SVG = 'http://www.w3.org/2000/svg';

/** The values of curves, as a person reads them. */
const number = value =>
  value.toLocaleString('en', Math.abs(value) < 1e-3 && value !== 0
    ? { notation: 'scientific', maximumSignificantDigits: 4 }
    : { maximumFractionDigits: Math.abs(value) < 100 ? 4 : 0 });

class Chart {
  #svg;
  #curves;
  #place = 0; // of the point that keys chose
  #marks = [];

  /** @param {(chart: Chart, x: ?number) => void} onMove is told the x value that is looked at; null for none */
  constructor(svg, onMove) {
    this.#svg = svg;
    this.xTitle = svg.dataset.xTitle;
    this.#curves = [...svg.querySelectorAll('polyline')].map(line => {
      const points = [...line.points].map(({ x, y }) => ({ x, y }));
      const values = line.dataset.values.split(' ').map(Number);
      points.forEach((point, at) => ([point.value, point.worth] = values.slice(2 * at, 2 * at + 2)));
      return { name: line.dataset.name, style: line.getAttribute('class'), points };
    });
    svg.tabIndex = 0;
    svg.addEventListener('pointermove', event => onMove(this, this.#under(event)));
    svg.addEventListener('pointerleave', () => onMove(this, null));
    svg.addEventListener('focus', () => svg.matches(':focus-visible') && onMove(this, this.#chosen()));
    svg.addEventListener('blur', () => onMove(this, null));
    svg.addEventListener('keydown', event => this.#key(event, onMove));
  }

  /** The x value of the point that is nearest to the pointer. */
  #under({ clientX }) {
    const box = this.#svg.getBoundingClientRect();
    const x = ((clientX - box.left) / box.width) * this.#svg.viewBox.baseVal.width;
    const all = this.#curves.flatMap(curve => curve.points);
    return all.reduce((best, point) => (Math.abs(point.x - x) < Math.abs(best.x - x) ? point : best)).value;
  }

  #chosen() {
    return this.#curves[0].points[this.#place].value;
  }

  #key(event, onMove) {
    const last = this.#curves[0].points.length - 1;
    const stride = event.shiftKey ? 10 : 1;
    const next = {
      ArrowLeft: Math.max(0, this.#place - stride),
      ArrowRight: Math.min(last, this.#place + stride),
      Home: 0,
      End: last,
    }[event.key];
    if (next !== undefined) {
      event.preventDefault();
      this.#place = next;
      onMove(this, this.#chosen());
    } else if (event.key === 'Escape') {
      onMove(this, null);
    }
  }

  /** Shows the crosshair at an x value; the chart that is looked at tells its values too. */
  show(value, told) {
    this.hide();
    const near = this.#curves.map(({ points }) =>
      points.reduce((best, point) => (Math.abs(point.value - value) < Math.abs(best.value - value) ? point : best)));
    const closest = near.reduce((best, point) =>
      (Math.abs(point.value - value) < Math.abs(best.value - value) ? point : best));
    const [, , top, bottom] = this.#svg.dataset.window.split(' ').map(Number);
    this.#mark('line', { class: 'cross', x1: closest.x, x2: closest.x, y1: top, y2: bottom });
    const shown = near.map((point, at) => ({ ...point, ...this.#curves[at], point }))
      .filter(({ point }) => point.x === closest.x);
    shown.filter(({ y }) => y >= top - 4).forEach(({ x, y, style }) =>
      this.#mark('circle', { class: `at dot-${style}`, cx: x, cy: y, r: 4 }));
    if (told) {
      const head = { text: `${this.xTitle} ${number(closest.value)}` };
      const box = this.#marks[0].getBoundingClientRect();
      showTip([head, ...shown.map(({ name, worth }) => ({ text: `${name} ${number(worth)}`.trim() }))], box);
    }
  }

  #mark(element, attributes) {
    const mark = this.#svg.appendChild(document.createElementNS(SVG, element));
    Object.entries(attributes).forEach(([name, value]) => mark.setAttribute(name, value));
    this.#marks.push(mark);
  }

  hide() {
    this.#marks.forEach(mark => mark.remove());
    this.#marks = [];
  }
}

/** Gives each chart of the page a crosshair. */
export function addCrosshairs() {
  const charts = [...document.querySelectorAll('.plot[data-window]')].map(svg => new Chart(svg, move));

  function move(moved, x) {
    const along = charts.filter(chart => chart.xTitle === moved.xTitle);
    if (x === null) {
      along.forEach(chart => chart.hide());
      hideTip();
    } else {
      along.forEach(chart => chart.show(x, chart === moved));
    }
  }
}
