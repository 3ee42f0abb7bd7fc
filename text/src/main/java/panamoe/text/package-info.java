/**
 * Text generation with language models. A {@link panamoe.text.MoeModel} is opened on a {@link
 * panamoe.api.Device}, whose rule applies to it: one thread at a time may call it.
 */
package panamoe.text;
