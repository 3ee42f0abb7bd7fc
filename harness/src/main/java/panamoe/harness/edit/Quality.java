package panamoe.harness.edit;

import java.util.List;
import panamoe.backend.Backend;
import panamoe.data.TokenSequences;
import panamoe.harness.inspect.ParameterCounts;
import panamoe.model.LanguageModel;
import panamoe.op.NotFinite;
import panamoe.op.RouteObserver;
import panamoe.tensor.DType;
import panamoe.train.TrainConfig;
import panamoe.train.Validation;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * How good a model is, and how large.
 *
 * @param bitsPerByte on the validation text
 * @param parameters in all
 * @param activated parameters that one token uses
 * @param bytes of the weights in a checkpoint
 * @param experts of each layer, 0 for a dense one
 */
record Quality(
    double bitsPerByte, long parameters, long activated, long bytes, List<Integer> experts) {
  /**
   * @param observer receives every gate's routes
   * @throws IllegalArgumentException if the model gives numbers that are not finite
   */
  static Quality of(
      LanguageModel model,
      Backend backend,
      TrainConfig training,
      TokenSequences data,
      RouteObserver observer) {
    long parameters = model.parameters().count();
    double bits = Validation.bitsPerByte(backend, model, training, data, observer);
    if (!Double.isFinite(bits)) {
      throw new NotFinite("");
    }
    return new Quality(
        bits,
        parameters,
        ParameterCounts.of(model).activated(),
        parameters * DType.FLOAT32.bytes(),
        model.config().experts());
  }

  ObjectNode toJson() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("validation_bits_per_byte", bitsPerByte);
    json.put("parameters", parameters);
    json.put("activated", activated);
    json.put("bytes", bytes);
    ArrayNode layers = json.putArray("experts");
    experts.forEach(layers::add);
    return json;
  }
}
