// Asks for the server's key in a dialog.

import * as api from './api.js';

const at = id => document.getElementById(id);

/** Whether the page waits for a key. */
export const locked = () => at('door').open;

/** Asks for a key if a request was refused for lack of one, or for a wrong one. True if so. */
export function askKey(error) {
  if (error.status !== 401) {
    return false;
  }
  if (!locked()) {
    at('door').showModal();
  }
  at('refused').textContent = error.message === api.WRONG_KEY ? api.WRONG_KEY : '';
  return true;
}

at('door').addEventListener('cancel', event => event.preventDefault()); // nothing works without a key
at('door').addEventListener('submit', event => {
  event.preventDefault();
  const sent = api.useKey(at('key').value);
  at('key').value = '';
  at('refused').textContent = sent ? '' : api.WRONG_KEY;
  if (sent) {
    at('door').close();
  }
});
