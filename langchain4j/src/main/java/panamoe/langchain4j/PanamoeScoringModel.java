package panamoe.langchain4j;

import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.model.output.Response;
import dev.langchain4j.model.output.TokenUsage;
import dev.langchain4j.model.scoring.ScoringModel;
import java.util.List;
import panamoe.text.Relevance;
import panamoe.text.RerankingModel;

/** A reranking model in this process as LangChain4j's scoring model. Thread-safe. */
public final class PanamoeScoringModel implements ScoringModel {
  private final RerankingModel model;

  private PanamoeScoringModel(RerankingModel model) {
    this.model = model;
  }

  /** Over an open model, which whoever opened it closes. */
  public static PanamoeScoringModel of(RerankingModel model) {
    return new PanamoeScoringModel(model);
  }

  /**
   * How well texts answer a query, 0 to 1, in their order.
   *
   * @throws dev.langchain4j.exception.InvalidRequestException if a text or the query is empty, or
   *     both together are too long
   */
  @Override
  public Response<List<Double>> scoreAll(List<TextSegment> segments, String query) {
    List<String> texts = segments.stream().map(TextSegment::text).toList();
    List<Relevance> scores = Conversation.translating(() -> model.rerank(query, texts));
    int tokens = scores.stream().mapToInt(Relevance::tokens).sum();
    return Response.from(scores.stream().map(Relevance::score).toList(), new TokenUsage(tokens));
  }
}
