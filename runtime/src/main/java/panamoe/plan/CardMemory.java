package panamoe.plan;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.engine.EngineConfig;
import panamoe.io.Parts;
import panamoe.model.LanguageModel;
import panamoe.nn.Work;
import panamoe.open.InferenceMemory;
import panamoe.param.WeightTypes;

/**
 * The bytes on the card that holds most.
 *
 * @param weights as {@link InferenceMemory} has them
 * @param keysAndValues of the sequences of a data rank, as long as the context each
 * @param buffers activations of a step, be it a step of all sequences or a piece of a prompt
 */
public record CardMemory(long weights, long keysAndValues, long buffers) implements Parts {
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

  @Override
  public Map<String, Long> parts() {
    Map<String, Long> parts = new LinkedHashMap<>();
    parts.put("weights", weights);
    parts.put("keys and values", keysAndValues);
    parts.put("buffers", buffers);
    return parts;
  }

  @Override
  public ObjectNode toJson() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("weights", weights);
    json.put("keys_and_values", keysAndValues);
    json.put("buffers", buffers);
    json.put("total", total());
    return json;
  }
}
