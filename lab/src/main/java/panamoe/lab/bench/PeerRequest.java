package panamoe.lab.bench;

import com.fasterxml.jackson.annotation.JsonInclude;
import panamoe.backend.Activation;
import panamoe.harness.ComputeType;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * A request to a peer's process, one line of JSON on its standard input: a {@link Cell} with all
 * sizes spelt out. The answer is one line, {@code {"ms": [of each call]}} or {@code {"error": "a
 * sentence"}}.
 *
 * @param work the weights; a peer keeps them until a request differs
 * @param tokens per call
 * @param batches number of inputs that calls rotate over
 * @param seconds how long to run; at least one call
 * @param texts null unless whole models write texts
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record PeerRequest(Work work, int tokens, int batches, double seconds, Texts texts) {
  /**
   * Texts, and the model that writes them.
   *
   * @param count of a prefill or a decode
   * @param vocabulary of the model
   * @param file of its weights; null for those that are drawn from a seed
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Texts(int count, int vocabulary, String file) {}

  /**
   * @param style how to run experts, for peers with several methods
   * @param hidden M
   * @param expertHidden F
   * @param experts E
   * @param topK K
   * @param gated whether experts are SwiGLU; otherwise GELU
   * @param copies number of layers that calls rotate over
   */
  @JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
  public record Work(
      Kind kind,
      String style,
      int hidden,
      int expertHidden,
      int experts,
      int topK,
      boolean gated,
      int copies,
      ComputeType dtype,
      int threads) {

    /** The layer's shape. */
    public LayerShape shape() {
      return new LayerShape(
          kind.toString(),
          hidden,
          expertHidden,
          experts,
          topK,
          gated ? Activation.SWIGLU : Activation.GELU,
          copies);
    }
  }

  static PeerRequest of(Cell cell, String style, double seconds) {
    LayerShape shape = cell.shape();
    Work work =
        new Work(
            cell.kind(),
            style,
            shape.hidden(),
            shape.expertHidden(),
            shape.experts(),
            shape.topK(),
            shape.activation().inputsPerOutput() == 2,
            cell.kind() == Kind.MOE_LAYER || cell.kind() == Kind.GROUPED_GEMM ? shape.copies() : 1,
            cell.dtype(),
            cell.threads());
    return new PeerRequest(
        work, cell.tokens(), TokenBatches.count(cell.tokens()), seconds, texts(cell));
  }

  private static Texts texts(Cell cell) {
    if (!cell.kind().generates()) {
      return null;
    }
    return cell.file() == null
        ? new Texts(cell.texts(), GenerationModel.VOCABULARY, null)
        : new Texts(
            cell.texts(), cell.file().vocabulary(), cell.file().path().toAbsolutePath().toString());
  }
}
