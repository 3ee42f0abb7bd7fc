/**
 * Panamoe's models as Spring AI's: {@link panamoe.spring.ai.PanamoeChatModel}, {@link
 * panamoe.spring.ai.PanamoeEmbeddingModel} and {@link panamoe.spring.ai.PanamoeReranker}. They
 * translate and compute nothing.
 */
package panamoe.spring.ai;
