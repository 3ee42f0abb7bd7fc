/** Tokenizers of released models, from {@code tokenizer.json} or a GGUF file. */
package panamoe.data.tokenizer;
