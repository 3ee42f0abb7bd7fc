/** Opening a model: its folder or GGUF file, its tokenizer, its memory, and its experts on disk. */
package panamoe.open;
