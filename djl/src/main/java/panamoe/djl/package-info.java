/**
 * Panamoe for <a href="https://djl.ai">Deep Java Library</a>: {@link panamoe.djl.MoeBlock} is a
 * layer in a network of another engine. {@link panamoe.djl.PanamoeEngine} loads language models,
 * which complete prompts by {@link panamoe.djl.TextTranslator}.
 */
package panamoe.djl;
