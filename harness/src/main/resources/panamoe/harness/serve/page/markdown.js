// Draws Markdown as elements of the page. No text is read as HTML, and no address is loaded.

import { lexer } from './marked.esm.js';
import { copyButton } from './copy.js';

/** Addresses that a link may have; others, such as javascript:, stay text. */
const SAFE = /^(https?|mailto):/i;
/** What stands before the text of a list's item. */
const MARKER = /\s*(?:[-+*]|\d+[.)])[ \t]+/y;

const TAGS = { paragraph: 'p', strong: 'strong', em: 'em', del: 'del', blockquote: 'blockquote' };

export class Markdown {
  #element;
  #nodes;
  #drawn = []; // the raw text of each block that is drawn
  #source = '';
  #at = 0; // where the search for the next text starts

  /**
   * @param {HTMLElement} element gets the blocks
   * @param {(start: number, end: number) => (Node | string)[]} nodes draws a part of the source without its markup
   */
  constructor(element, nodes) {
    this.#element = element;
    this.#nodes = nodes;
  }

  /** Draws a source that goes on where the one before ended; complete blocks stay as they are. */
  draw(source) {
    this.#source = source;
    const blocks = lexer(source);
    const same = blocks.findIndex(({ raw }, at) => raw !== this.#drawn[at]);
    const kept = same < 0 ? blocks.length : same;
    while (this.#element.children.length > kept) {
      this.#element.lastChild.remove();
    }
    let start = blocks.slice(0, kept).reduce((length, { raw }) => length + raw.length, 0);
    blocks.slice(kept).forEach(block => {
      this.#at = start;
      start += block.raw.length;
      // One element for each block, so that they can be counted.
      this.#element.append(this.#draw(block) ?? document.createElement('span'));
    });
    this.#drawn = blocks.map(({ raw }) => raw);
  }

  #draw(token) {
    const draw = {
      space: () => null,
      def: () => null,
      heading: () => this.#heading(token),
      code: () => this.#code(token),
      hr: () => document.createElement('hr'),
      br: () => document.createElement('br'),
      list: () => this.#list(token),
      checkbox: () => (token.checked ? '☑ ' : '☐ '),
      table: () => this.#table(token),
      link: () => this.#link(token),
      image: () => this.#link(token),
      codespan: () => element('code', this.#text(token.text)),
    }[token.type];
    if (draw) {
      return draw();
    }
    if (TAGS[token.type]) {
      return element(TAGS[token.type], this.#inside(token));
    }
    return element('span', token.tokens ? this.#inside(token) : this.#text(token.text));
  }

  #inside({ tokens }) {
    return tokens.map(token => this.#draw(token)).filter(node => node !== null);
  }

  /** A text of the source, found behind the one before; what quotes and lists put before its lines is skipped. */
  #text(text) {
    return text.split(/(?<=\n)/).flatMap(line => {
      const start = this.#source.indexOf(line, this.#at);
      if (start < 0) {
        return [line];
      }
      this.#at = start + line.length;
      return this.#nodes(start, this.#at);
    });
  }

  #heading(token) {
    const heading = element('h3', this.#inside(token)); // whatever its depth: an answer may start with any
    heading.dataset.depth = token.depth;
    return heading;
  }

  #code({ text, lang, raw }) {
    const box = document.createElement('figure');
    const bar = element('figcaption', [lang ?? '', copyButton(() => text)]);
    if (/^ *(`{3}|~{3})/.test(raw)) {
      this.#at = this.#source.indexOf('\n', this.#at) + 1; // behind the fence
    }
    const code = element('pre', [element('code', this.#text(text))]);
    code.tabIndex = 0; // a wide one scrolls
    box.append(bar, code);
    return box;
  }

  #list({ ordered, start, items }) {
    const list = document.createElement(ordered ? 'ol' : 'ul');
    if (ordered) {
      list.start = start;
    }
    list.append(...items.map(item => {
      MARKER.lastIndex = this.#at;
      this.#at = MARKER.test(this.#source) ? MARKER.lastIndex : this.#at;
      return element('li', this.#inside(item));
    }));
    return list;
  }

  #table({ header, rows }) {
    const row = (cells, tag) => element('tr', cells.map(cell => {
      const drawn = element(tag, this.#inside(cell));
      drawn.style.textAlign = cell.align ?? '';
      return drawn;
    }));
    const table = element('table', [element('thead', [row(header, 'th')]),
      element('tbody', rows.map(cells => row(cells, 'td')))]);
    const box = element('div', [table]);
    box.className = 'wide';
    box.tabIndex = 0;
    box.setAttribute('role', 'region');
    box.setAttribute('aria-label', 'Table');
    return box;
  }

  /** A link; an image is one too, because the page loads nothing from other servers. */
  #link(token) {
    const start = this.#source.indexOf(token.raw, this.#at);
    const link = element(SAFE.test(token.href) ? 'a' : 'span', this.#inside(token));
    if (link.tagName === 'A') {
      link.href = token.href;
      link.target = '_blank';
      link.rel = 'noopener noreferrer';
    }
    this.#at = start < 0 ? this.#at : start + token.raw.length; // behind the address
    return link;
  }
}

function element(tag, children) {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
}
