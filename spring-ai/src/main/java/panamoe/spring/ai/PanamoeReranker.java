package panamoe.spring.ai;

import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.springframework.ai.document.Document;
import org.springframework.ai.rag.Query;
import org.springframework.ai.rag.postretrieval.document.DocumentPostProcessor;
import panamoe.text.Relevance;
import panamoe.text.RerankingModel;

/**
 * Orders retrieved documents by a reranking model in this process, the best first. Thread-safe.
 *
 * <p>It needs {@code spring-ai-rag}, which an application brings.
 */
public final class PanamoeReranker implements DocumentPostProcessor {
  private final RerankingModel model;
  private final int most;
  private final String instruction;

  private PanamoeReranker(RerankingModel model, int most, String instruction) {
    this.model = Objects.requireNonNull(model, "a reranker needs an open model");
    this.most = most;
    this.instruction = instruction;
  }

  /** Over an open model, which whoever opened it closes; all documents are kept. */
  public static PanamoeReranker of(RerankingModel model) {
    return of(model, Integer.MAX_VALUE, RerankingModel.INSTRUCTION);
  }

  /**
   * With a choice.
   *
   * @param most how many of the best documents are kept, 1 or more
   * @param instruction what a query asks for, in a sentence
   * @throws IllegalArgumentException if none would be kept
   */
  public static PanamoeReranker of(RerankingModel model, int most, String instruction) {
    if (most < 1) {
      throw new IllegalArgumentException("the most documents are " + most + ", must be 1 or more");
    }
    return new PanamoeReranker(model, most, instruction);
  }

  /**
   * The best documents. Their scores, 0 to 1, say how well they answer the query.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if the query or a document is empty, or both
   *     together are too long
   * @throws IllegalArgumentException if a document is no text
   */
  @Override
  public List<Document> process(Query query, List<Document> documents) {
    List<Relevance> scores =
        model.rerank(
            query.text(), documents.stream().map(PanamoeReranker::text).toList(), instruction);
    return IntStream.range(0, documents.size())
        .mapToObj(i -> documents.get(i).mutate().score(scores.get(i).score()).build())
        .sorted(Comparator.comparing(Document::getScore).reversed())
        .limit(most)
        .toList();
  }

  private static String text(Document document) {
    if (!document.isText()) {
      throw new IllegalArgumentException(
          "the document " + document.getId() + " is a medium: the model reads text alone");
    }
    return document.getText();
  }
}
