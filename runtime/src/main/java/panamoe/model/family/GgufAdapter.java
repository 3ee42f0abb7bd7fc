package panamoe.model.family;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.LowRank;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.checkpoint.gguf.GgufMetadata;
import panamoe.checkpoint.gguf.GgufWriter;

/**
 * llama.cpp's adapters: for a matrix W [N, K] the tensors {@code W.lora_a} [r, K] and {@code
 * W.lora_b} [N, r], stacked for experts, and one alpha for all, which each divides by its rank.
 */
final class GgufAdapter {
  private static final String A = ".lora_a";
  private static final String B = ".lora_b";
  private static final String ALPHA = "adapter.lora.alpha";
  private static final String INVOCATION = "adapter.alora.invocation_tokens";

  /**
   * What llama.cpp multiplies by without an adapter, by architecture; of Gemma 4's experts it
   * leaves the factor out.
   */
  private static final Map<String, String> WITHOUT =
      Map.of(
          "deepseek2", "blk\\.\\d+\\.attn_(q|q_a|q_b|kv_a_mqa)\\.weight|output\\.weight",
          "gemma4", "blk\\.\\d+\\.ffn_down_exps\\.weight");

  private GgufAdapter() {}

  /** The adapters of tensors, one for each matrix of a stack. */
  static Map<String, List<LowRank>> read(Path path, String architecture) {
    try (GgufFile file = GgufFile.open(path)) {
      GgufMetadata metadata = file.metadata();
      require(metadata, "general.type", "adapter");
      require(metadata, "adapter.type", "lora");
      require(metadata, "general.architecture", architecture);
      if (metadata.contains(INVOCATION)) {
        throw new CheckpointException(
            "%s has %s: it applies behind some tokens alone, which is not supported",
            path, INVOCATION);
      }
      double alpha = metadata.real(ALPHA);
      Map<String, List<LowRank>> adapters = new LinkedHashMap<>();
      for (String name : new TreeSet<>(file.tensors().keySet())) {
        String tensor = name.replaceFirst("\\.lora_[ab]$", "");
        if (tensor.equals(name)) {
          throw new CheckpointException("%s holds %s, which is no part of an adapter", path, name);
        }
        adapters.computeIfAbsent(tensor, _ -> matrices(file, tensor, alpha));
      }
      return adapters;
    }
  }

  private static void require(GgufMetadata metadata, String key, String expected) {
    String found = metadata.text(key);
    if (!found.equals(expected)) {
      throw new CheckpointException(
          "%s: %s is %s, expected %s", metadata.path(), key, Keys.shown(found), expected);
    }
  }

  private static List<LowRank> matrices(GgufFile file, String tensor, double alpha) {
    StoredTensor a = stored(file, tensor, A, B);
    StoredTensor b = stored(file, tensor, B, A);
    int axes = a.shape().length;
    int rank = axes < 2 ? 0 : (int) a.shape()[axes - 2];
    if (axes < 2
        || axes > 3
        || b.shape().length != axes
        || b.shape()[axes - 1] != rank
        || axes == 3 && a.shape()[0] != b.shape()[0]) {
      throw new CheckpointException(
          "%s has the shape %s and %s %s: they have no common rank",
          a.name(), Arrays.toString(a.shape()), b.name(), Arrays.toString(b.shape()));
    }
    int count = axes == 3 ? (int) a.shape()[0] : 1;
    float[] inputs = floats(file, a);
    float[] outputs = floats(file, b);
    List<LowRank> matrices = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      matrices.add(
          new LowRank(
              rank,
              part(inputs, i, count),
              part(outputs, i, count),
              alpha == 0 ? 1 : alpha / rank));
    }
    return matrices;
  }

  private static float[] part(float[] all, int index, int count) {
    int length = all.length / count;
    return Arrays.copyOfRange(all, index * length, (index + 1) * length);
  }

  private static StoredTensor stored(GgufFile file, String tensor, String end, String other) {
    StoredTensor stored = file.tensors().get(tensor + end);
    if (stored == null) {
      throw new CheckpointException("it has %s%s, but no %s%s", tensor, other, tensor, end);
    }
    return stored;
  }

  private static float[] floats(GgufFile file, StoredTensor stored) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(stored.bytes(), Long.BYTES);
      file.read(stored, 0, bytes);
      MemorySegment floats = arena.allocate(ValueLayout.JAVA_FLOAT, stored.count());
      stored.type().decode(bytes, floats);
      return AdapterFiles.finite(stored.name(), floats.toArray(ValueLayout.JAVA_FLOAT));
    }
  }

  /** Writes the adapters of tensors; those of another alpha by factors in B. */
  static void write(
      Path path, String architecture, AdaptedTensors tensors, Map<String, List<LowRank>> adapters)
      throws IOException {
    LowRank one = adapters.values().iterator().next().getFirst();
    float alpha = (float) (one.scale() * one.rank());
    GgufWriter writer =
        new GgufWriter()
            .put("general.type", "adapter")
            .put("general.architecture", architecture)
            .put("general.quantization_version", 2)
            .put("adapter.type", "lora")
            .put(ALPHA, alpha);
    adapters.forEach(
        (tensor, matrices) -> {
          if (tensor.matches(WITHOUT.getOrDefault(architecture, ""))) {
            throw new CheckpointException(
                "llama.cpp does not add an adapter of %s in %s: it would compute another model",
                tensor, architecture);
          }
          LowRank first = matrices.getFirst();
          double factor = first.scale() * first.rank() / alpha;
          long[] a = tensors.shape(tensor).clone();
          long[] b = a.clone();
          a[a.length - 2] = first.rank();
          b[b.length - 1] = first.rank();
          List<float[]> outputs = matrices.stream().map(it -> times(it.b(), factor)).toList();
          writer
              .add(tensor + A, AdapterFiles.encoded(a, matrices.stream().map(LowRank::a).toList()))
              .add(tensor + B, AdapterFiles.encoded(b, outputs));
        });
    writer.write(path, _ -> {});
  }

  private static float[] times(float[] values, double factor) {
    float[] products = values.clone();
    for (int i = 0; factor != 1 && i < products.length; i++) {
      products[i] = (float) (products[i] * factor);
    }
    return products;
  }
}
