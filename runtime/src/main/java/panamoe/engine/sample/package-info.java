/** How the next token of a text is drawn from its logits. */
package panamoe.engine.sample;
