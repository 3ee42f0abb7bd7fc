// Conversations in this browser's storage, and the list of them.

const PREFIX = 'panamoe.conversation.';

/**
 * A kept conversation; texts are those of WrittenText's saved.
 * @typedef {{id: string, title: string, changed: number, model: string, shape: string, system: string,
 *     texts: object[]}} Kept
 */
export class History {
  #list;
  #onOpen;
  #open = null; // the id of the conversation on the page

  /**
   * @param {HTMLElement} list gets a line for each conversation
   * @param {(kept: ?Kept) => void} onOpen gets the chosen conversation; null if the one on the page was deleted
   */
  constructor(list, onOpen) {
    this.#list = list;
    this.#onOpen = onOpen;
    addEventListener('storage', () => this.show(this.#open)); // another tab wrote
  }

  /**
   * Keeps a conversation. The oldest others go if that makes room for it, and else none; one that is too long by itself
   * is kept without its experts.
   *
   * @returns {string} a sentence that says what is not kept; empty if all is
   */
  save(kept) {
    let lost = '';
    if (!put(kept)) {
      lost = put(withoutExperts(kept))
        ? 'The browser has no room for the experts of this conversation, and keeps it without them.'
        : 'The browser has no room for this conversation: what is new in it lasts as long as the page.';
    }
    this.show(this.#open);
    return lost;
  }

  has(id) {
    return localStorage.getItem(PREFIX + id) !== null;
  }

  /** Draws the list; the conversation on the page is marked. */
  show(open) {
    this.#open = open;
    this.#list.replaceChildren(...all().map(kept => this.#line(kept)));
  }

  #line(kept) {
    const line = document.createElement('li');
    const name = line.appendChild(document.createElement('button'));
    name.type = 'button';
    name.textContent = kept.title;
    name.title = `${kept.model}, ${new Date(kept.changed).toLocaleString()}`;
    if (kept.id === this.#open) {
      name.setAttribute('aria-current', 'true');
    }
    name.addEventListener('click', () => this.#onOpen(kept));
    const gone = line.appendChild(document.createElement('button'));
    gone.type = 'button';
    gone.textContent = '×';
    gone.setAttribute('aria-label', `Delete “${kept.title}”`);
    gone.addEventListener('click', () => this.#delete(kept));
    return line;
  }

  #delete({ id, title }) {
    if (!confirm(`Delete “${title}”?`)) {
      return;
    }
    localStorage.removeItem(PREFIX + id);
    if (id === this.#open) {
      this.#onOpen(null);
    }
    this.show(this.#open);
  }
}

/** All conversations, the latest first. */
function all() {
  return Object.keys(localStorage)
    .filter(key => key.startsWith(PREFIX))
    .map(key => JSON.parse(localStorage.getItem(key)))
    .toSorted((one, other) => other.changed - one.changed);
}

/** Stores a conversation instead of the oldest others; if it does not fit even alone, the storage stays as it is. */
function put(kept) {
  const text = JSON.stringify(kept);
  const others = all().filter(({ id }) => id !== kept.id);
  const gone = new Map();
  for (;;) {
    try {
      localStorage.setItem(PREFIX + kept.id, text);
      return true;
    } catch {
      if (others.length === 0) {
        gone.forEach((value, key) => localStorage.setItem(key, value));
        return false;
      }
      const key = PREFIX + others.pop().id;
      gone.set(key, localStorage.getItem(key));
      localStorage.removeItem(key);
    }
  }
}

function withoutExperts(kept) {
  const texts = kept.texts.map(text => ({ ...text, chunks: text.chunks.map(chunk => [...chunk.slice(0, 3), []]) }));
  return { ...kept, texts };
}
