/** llama.cpp's files. */
package panamoe.checkpoint.gguf;
