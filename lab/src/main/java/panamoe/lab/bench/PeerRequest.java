package panamoe.lab.bench;

import com.fasterxml.jackson.annotation.JsonInclude;
import panamoe.backend.Activation;
import panamoe.harness.ComputeType;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * A request to a peer's process: one line of JSON on its standard input, a {@link Cell} with all
 * sizes. The response is one line: {@code {"ms": [per call]}} or {@code {"error": "a sentence"}}.
 *
 * @param work the weights; a peer keeps them until a request with other ones
 * @param tokens per call
 * @param batches number of inputs that calls rotate over
 * @param seconds how long to run; at least one call
 * @param texts null unless a whole model generates
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record PeerRequest(Work work, int tokens, int batches, double seconds, Texts texts) {
  /**
   * The sequences of a whole model.
   *
   * @param count number of sequences
   * @param vocabulary of the model
   * @param file of its weights; null for random weights from a seed
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
      BenchKind kind,
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
            cell.kind() == BenchKind.MOE_LAYER || cell.kind() == BenchKind.GROUPED_GEMM
                ? shape.copies()
                : 1,
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
