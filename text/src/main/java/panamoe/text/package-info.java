/**
 * Text generation with language models. A {@link panamoe.text.TextService} completes the requests
 * of any number of threads, with a {@link panamoe.text.MoeModel} that it opens or is given.
 */
package panamoe.text;
