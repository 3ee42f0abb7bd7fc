package panamoe.plan;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import panamoe.engine.EngineConfig;
import panamoe.engine.InferenceMemory;
import panamoe.model.LanguageModel;
import panamoe.nn.Work;
import panamoe.param.WeightTypes;

/**
 * The bytes on the card that holds most.
 *
 * @param weights as {@link InferenceMemory} has them
 * @param keysAndValues of the sequences of a data rank, as long as the context each
 * @param buffers activations of a step, be it a step of all sequences or a piece of a prompt
 */
public record CardMemory(long weights, long keysAndValues, long buffers) {
  /**
   * @param work of a step that writes a token of each sequence
   * @param context tokens that each sequence has room for
   */
  static CardMemory of(LanguageModel model, Work work, int context) {
    InferenceMemory memory =
        InferenceMemory.of(
            model, WeightTypes.of(work.dtype()), work.dtype(), context, false, work.topology());
    Work prompt =
        Work.prefill(Math.min(context, EngineConfig.STEP_TOKENS), work.dtype())
            .over(work.topology());
    return new CardMemory(
        memory.weights(),
        work.sequences() * memory.keysAndValues(),
        (long) Math.max(model.cost(work).kept(), model.cost(prompt).kept()));
  }

  public long total() {
    return weights + keysAndValues + buffers;
  }

  /** Bytes of the largest part. */
  public long largest() {
    return Math.max(weights, Math.max(keysAndValues, buffers));
  }

  /** The largest part in words. */
  public String largestName() {
    return largest() == weights
        ? "weights"
        : largest() == keysAndValues ? "keys and values" : "buffers";
  }

  public ObjectNode toJson() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("weights", weights);
    json.put("keys_and_values", keysAndValues);
    json.put("buffers", buffers);
    json.put("total", total());
    return json;
  }
}
