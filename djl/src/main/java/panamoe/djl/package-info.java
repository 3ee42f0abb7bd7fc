/**
 * Panamoe for <a href="https://djl.ai">Deep Java Library</a>: {@link panamoe.djl.MoeBlock} is a
 * layer inside a network of another engine.
 */
package panamoe.djl;
