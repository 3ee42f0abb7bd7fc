/**
 * Panamoe for <a href="https://djl.ai">Deep Java Library</a>: {@link panamoe.djl.MoeBlock} is a
 * layer inside a network of another engine, and {@link panamoe.djl.PanamoeEngine} loads models that
 * write text, which a {@link panamoe.djl.TextTranslator} asks for.
 */
package panamoe.djl;
