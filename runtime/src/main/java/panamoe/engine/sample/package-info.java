/** Sampling of the next token from logits. */
package panamoe.engine.sample;
