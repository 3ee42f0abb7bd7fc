package panamoe.checkpoint;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import tools.jackson.databind.node.JsonNodeFactory;

/** A small MoE whose values depend on the step, so that a mix of two steps is detected. */
final class SampleContents {
  static final int EXPERTS = 4;
  static final String UP = "layers.1.moe.experts.*.up.weight";

  final Map<String, Tensor> model = new LinkedHashMap<>();
  final Map<String, Tensor> optimizer = new LinkedHashMap<>();
  final Tensor stacked;

  SampleContents(TensorScope scope) {
    stacked = scope.zeros(DType.FLOAT32, EXPERTS, 3, 5);
    model.put("embedding.weight", scope.zeros(DType.BFLOAT16, 7, 5));
    model.put("layers.0.norm.weight", scope.zeros(DType.FLOAT32, 5));
    model.putAll(ExpertTensors.slices(UP, stacked, 0));
    optimizer.put("moments.first", scope.zeros(DType.FLOAT32, 11));
    optimizer.put("counts", scope.zeros(DType.INT32, 2));
  }

  SampleContents fill(long step) {
    Random random = new Random(step);
    model.values().forEach(tensor -> fill(tensor, random));
    optimizer.values().forEach(tensor -> fill(tensor, random));
    return this;
  }

  CheckpointContents at(long step) {
    fill(step);
    JsonNodeFactory json = JsonNodeFactory.instance;
    return new CheckpointContents(
        step,
        json.objectNode().put("hidden", 5),
        json.objectNode().put("tokens", step * 100),
        List.of(0, EXPERTS),
        model,
        optimizer);
  }

  LoadReport readModel(Checkpoint checkpoint, boolean allowExtra, boolean strict) {
    Map<String, LoadTarget> destinations = new LinkedHashMap<>();
    model.forEach(
        (name, tensor) ->
            destinations.put(
                name,
                new LoadTarget(tensor.dtype(), tensor.shape(), LoadTarget.Share.WHOLE, tensor)));
    try (ReferenceBackend backend = new ReferenceBackend()) {
      return checkpoint.loadModel(destinations, backend, allowExtra, strict, _ -> {});
    }
  }

  void readOptimizer(Checkpoint checkpoint) {
    try (Shards shards = checkpoint.optimizer()) {
      optimizer.forEach(shards::read);
    }
  }

  boolean sameAs(SampleContents other) {
    return same(model, other.model) && same(optimizer, other.optimizer);
  }

  private static boolean same(Map<String, Tensor> some, Map<String, Tensor> others) {
    return some.entrySet().stream()
        .allMatch(entry -> entry.getValue().data().mismatch(others.get(entry.getKey()).data()) < 0);
  }

  private static void fill(Tensor tensor, Random random) {
    for (long i = 0; i < tensor.count(); i++) {
      tensor.setFloat(i, random.nextInt(1000));
    }
  }
}
