/**
 * Panamoe's models as LangChain4j's: {@link panamoe.langchain4j.PanamoeChatModel}, {@link
 * panamoe.langchain4j.PanamoeStreamingChatModel}, {@link
 * panamoe.langchain4j.PanamoeEmbeddingModel}, {@link panamoe.langchain4j.PanamoeScoringModel} and
 * {@link panamoe.langchain4j.PanamoeTokenCountEstimator}. They translate and compute nothing.
 */
package panamoe.langchain4j;
