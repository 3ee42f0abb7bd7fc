/** Corpora, tokenizers, and batches of tokens. */
package panamoe.data;
