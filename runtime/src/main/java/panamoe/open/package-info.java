/**
 * Opening a model: its folder or GGUF file, its tokenizer, the memory that it takes, and its
 * experts on the disk.
 */
package panamoe.open;
