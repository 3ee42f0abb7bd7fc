// Gives a screen reader whole sentences; single tokens could not be followed.

export class Speech {
  #element;
  #heard = '';

  constructor(element) {
    this.#element = element;
  }

  add(piece) {
    this.#heard += piece;
    if (/[.!?\n]["”’]?\s*$/.test(this.#heard)) {
      this.end();
    }
  }

  end() {
    this.#element.textContent = this.#heard;
    this.#heard = '';
  }
}
