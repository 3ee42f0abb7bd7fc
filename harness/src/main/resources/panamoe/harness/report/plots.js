// Shows a plot's values under the pointer, or at a position that arrow keys choose: of curves at a crosshair, of a heat
// map in a cell. Charts with the same x axis show their crosshairs together.

import { number } from './numbers.js';
import { hideTip, showTip } from './tip.js';

const SVG = 'http://www.w3.org/2000/svg';

/** The item whose value is closest. */
const closest = (items, value, of) =>
  items.reduce((best, item) => (Math.abs(of(item) - value) < Math.abs(of(best) - value) ? item : best));

/** A drawing that has the focus and marks. */
class Plot {
  #marks = [];

  constructor(svg) {
    this.svg = svg;
    this.window = svg.dataset.window.split(' ').map(Number); // left, right, top, bottom
    svg.tabIndex = 0;
    svg.addEventListener('pointermove', event => this.show(this.under(this.#point(event))));
    svg.addEventListener('pointerleave', () => this.leave());
    svg.addEventListener('focus', () => svg.matches(':focus-visible') && this.show(this.chosen()));
    svg.addEventListener('blur', () => this.leave());
    svg.addEventListener('keydown', event => this.#key(event));
  }

  /** The pointer, in the drawing's units. */
  #point({ clientX, clientY }) {
    const { x, y } = new DOMPoint(clientX, clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    return { x, y };
  }

  #key(event) {
    const stride = event.shiftKey ? 10 : 1;
    const moves = { ArrowLeft: [-stride, 0], ArrowRight: [stride, 0], ArrowUp: [0, -stride], ArrowDown: [0, stride],
      Home: [-Infinity, 0], End: [Infinity, 0] };
    if (event.key in moves) {
      event.preventDefault();
      this.move(...moves[event.key]);
      this.show(this.chosen());
    } else if (event.key === 'Escape') {
      this.leave();
    }
  }

  mark(element, attributes) {
    const mark = this.svg.appendChild(document.createElementNS(SVG, element));
    Object.entries(attributes).forEach(([name, value]) => mark.setAttribute(name, value));
    this.#marks.push(mark);
    return mark.getBoundingClientRect();
  }

  clear() {
    this.#marks.forEach(mark => mark.remove());
    this.#marks = [];
  }

  leave() {
    this.clear();
    hideTip();
  }
}

class Chart extends Plot {
  #curves;
  #all;
  #position = 0; // of the point that keys chose

  constructor(svg, charts) {
    super(svg);
    this.charts = charts;
    this.#curves = [...svg.querySelectorAll('polyline[data-values]')].map(line => {
      const values = line.dataset.values.split(' ').map(Number);
      const points = [...line.points].map(({ x, y }, at) => ({ x, y, value: values[2 * at], worth: values[2 * at + 1] }));
      return { name: line.dataset.name, style: line.getAttribute('class'), points };
    });
    this.#all = this.#curves.flatMap(curve => curve.points);
  }

  under({ x }) {
    return closest(this.#all, x, point => point.x).value;
  }

  chosen() {
    return this.#curves[0].points[this.#position].value;
  }

  move(right) {
    this.#position = Math.max(0, Math.min(this.#curves[0].points.length - 1, this.#position + right));
  }

  /** Shows the crosshair at an x value in all charts of its axis, and the values of this one. */
  show(value) {
    this.charts.filter(({ svg }) => svg.dataset.xTitle === this.svg.dataset.xTitle)
      .forEach(chart => chart.cross(value, chart === this));
  }

  cross(value, tip) {
    this.clear();
    const near = this.#curves.map(curve => ({ ...curve, ...closest(curve.points, value, point => point.value) }));
    const at = closest(near, value, point => point.value);
    const [, , top, bottom] = this.window;
    const box = this.mark('line', { class: 'cross', x1: at.x, x2: at.x, y1: top, y2: bottom });
    const shown = near.filter(({ x }) => x === at.x);
    shown.filter(({ y }) => y >= top - 4)
      .forEach(({ x, y, style }) => this.mark('circle', { class: `at ${style}`, cx: x, cy: y, r: 4 }));
    if (tip) {
      const head = { text: `${this.svg.dataset.xTitle} ${number(at.value)}` };
      showTip([head, ...shown.map(({ name, worth }) => ({ text: `${name} ${number(worth)}`.trim() }))], box);
    }
  }

  leave() {
    this.charts.forEach(chart => chart.clear());
    hideTip();
  }
}

class HeatMap extends Plot {
  #rows;
  #columns;
  #shares;
  #row = 0;
  #column = 0;

  constructor(svg) {
    super(svg);
    this.#rows = svg.dataset.rows.split(' '); // a title, then a name for each row
    this.#columns = svg.dataset.columns.split(' ');
    this.#shares = svg.dataset.shares.split(' ');
  }

  under({ x, y }) {
    const [left, right, top, bottom] = this.window;
    const row = Math.floor(((y - top) / (bottom - top)) * (this.#rows.length - 1));
    const column = Math.floor(((x - left) / (right - left)) * (this.#columns.length - 1));
    const inside = row >= 0 && column >= 0 && row < this.#rows.length - 1 && column < this.#columns.length - 1;
    return inside ? { row, column } : null;
  }

  chosen() {
    return { row: this.#row, column: this.#column };
  }

  move(right, down) {
    this.#column = Math.max(0, Math.min(this.#columns.length - 2, this.#column + right));
    this.#row = Math.max(0, Math.min(this.#rows.length - 2, this.#row + down));
  }

  show(cell) {
    this.leave();
    if (cell === null) {
      return;
    }
    const [left, right, top, bottom] = this.window;
    const width = (right - left) / (this.#columns.length - 1);
    const height = (bottom - top) / (this.#rows.length - 1);
    const box = this.mark('rect',
      { class: 'cross', x: left + cell.column * width, y: top + cell.row * height, width, height });
    const share = this.#shares[cell.row * (this.#columns.length - 1) + cell.column];
    showTip([
      { text: `${this.#rows[0]} ${this.#rows[cell.row + 1]}, ${this.#columns[0]} ${this.#columns[cell.column + 1]}` },
      { text: `${(share / 100).toFixed(2)} × the even share` },
    ], box);
  }
}

/** Gives each plot of the page its crosshair or its cells. */
export function addPlots() {
  const charts = [];
  document.querySelectorAll('.plot[data-x-title]').forEach(svg => charts.push(new Chart(svg, charts)));
  document.querySelectorAll('.plot[data-shares]').forEach(svg => new HeatMap(svg));
}
