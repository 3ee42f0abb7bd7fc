package panamoe.model.family;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.HuggingFaceWriter;
import panamoe.checkpoint.LowRank;
import panamoe.checkpoint.SafetensorsReader;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.rows.EncodedRows;

/**
 * PEFT's adapters. A module's matrix W [N, K] has {@code lora_A} [r, K] and {@code lora_B} [N, r].
 * A stack of E experts is a parameter of a module: {@code lora_A} [E r, K] has the experts one
 * after the other, and {@code lora_B} [N, r E] has column j of expert e at j E + e. Of two
 * parameters of one module the first is wrapped twice and has {@code base_layer} in its name.
 */
final class PeftAdapter {
  static final String WEIGHTS = "adapter_model.safetensors";
  private static final String BASE = "base_model.model.";
  private static final String WRAPPED = ".base_layer";
  private static final String WEIGHT = ".weight";
  private static final Pattern NAME =
      Pattern.compile("base_model\\.model\\.(.+?)((?:\\.base_layer)*)\\.lora_([AB])\\.weight");

  private PeftAdapter() {}

  /** A parameter of a module, with the shapes of its A and B. */
  private record Target(String tensor, String module, StoredTensor a, StoredTensor b) {
    /** The names that patterns of the configuration may match. */
    List<String> names() {
      return tensor.endsWith(WEIGHT) ? List.of(module, tensor) : List.of(tensor);
    }
  }

  /**
   * The adapters of tensors, one for each matrix of a stack.
   *
   * @param transposed whether matrices of stacks are [in, out], if their shapes do not say it
   */
  static Map<String, List<LowRank>> read(Path folder, AdaptedTensors tensors, boolean transposed) {
    PeftConfig config = PeftConfig.read(folder);
    if (!Files.exists(folder.resolve(WEIGHTS)) && Files.exists(folder.resolve(PeftConfig.PICKLE))) {
      throw new CheckpointException(
          "%s has %s, which is a program; save it as %s", folder, PeftConfig.PICKLE, WEIGHTS);
    }
    try (SafetensorsReader file = SafetensorsReader.open(folder.resolve(WEIGHTS))) {
      Map<String, List<LowRank>> adapters = new LinkedHashMap<>();
      for (Target target : targets(file, tensors, config)) {
        adapters.put(target.tensor(), matrices(file, target, tensors, config, transposed));
      }
      return adapters;
    }
  }

  private static List<Target> targets(
      SafetensorsReader file, AdaptedTensors tensors, PeftConfig config) {
    Map<String, TreeMap<Integer, StoredTensor[]>> modules = new TreeMap<>();
    for (StoredTensor stored : file.tensors()) {
      Matcher name = NAME.matcher(stored.name());
      if (!name.matches() || stored.shape().length != 2) {
        throw new CheckpointException(
            "%s holds %s, which is no A or B of a matrix", file.path(), stored);
      }
      modules.computeIfAbsent(TextPart.plain(name.group(1)), _ -> new TreeMap<>())
              .computeIfAbsent(name.group(2).length() / WRAPPED.length(), _ -> new StoredTensor[2])[
              name.group(3).equals("A") ? 0 : 1] =
          stored;
    }
    List<Target> targets = new ArrayList<>();
    modules.forEach(
        (module, depths) -> {
          List<String> names = parameters(module, depths, tensors, config);
          for (StoredTensor[] pair : depths.values()) {
            if (pair[0] == null || pair[1] == null) {
              StoredTensor there = pair[0] == null ? pair[1] : pair[0];
              throw new CheckpointException(
                  "%s holds %s, but not its lora_%s",
                  file.path(), there.name(), pair[0] == null ? "A" : "B");
            }
            targets.add(new Target(names.removeLast(), module, pair[0], pair[1]));
          }
        });
    return targets;
  }

  /** The adapted parameters of a module, the most deeply wrapped first. */
  private static List<String> parameters(
      String module,
      TreeMap<Integer, StoredTensor[]> depths,
      AdaptedTensors tensors,
      PeftConfig config) {
    List<String> names = new ArrayList<>();
    if (tensors.shape(module + WEIGHT) != null) {
      names.add(module + WEIGHT);
    } else {
      for (String name : tensors.modules()) {
        boolean own = name.startsWith(module + ".") && name.indexOf('.', module.length() + 1) < 0;
        if (own && tensors.shape(name).length == 3 && config.targets(name)) {
          names.add(name);
        }
      }
    }
    if (names.size() != depths.size()) {
      StoredTensor[] pair = depths.firstEntry().getValue();
      StoredTensor first = Objects.requireNonNullElse(pair[0], pair[1]);
      throw new CheckpointException(
          "%s adapts %s of %s in the model, which has %s",
          first,
          depths.size() == 1 ? "a matrix" : depths.size() + " matrices",
          module,
          names.isEmpty() ? "none of that name" : String.join(" and ", names));
    }
    return names;
  }

  private static List<LowRank> matrices(
      SafetensorsReader file,
      Target target,
      AdaptedTensors tensors,
      PeftConfig config,
      boolean transposed) {
    long[] shape = tensors.shape(target.tensor());
    int count = shape.length == 3 ? (int) shape[0] : 1;
    long[] a = target.a().shape();
    long[] b = target.b().shape();
    long rows = shape[shape.length - 2];
    long columns = shape[shape.length - 1];
    boolean fits = a[1] == columns && b[0] == rows;
    boolean turned = count > 1 && a[1] == rows && b[0] == columns && (transposed || !fits);
    if (!fits && !turned || a[0] % count != 0) {
      throw new CheckpointException(
          "%s has the shape %s and %s %s, but %s is %s in the model",
          target.a().name(),
          Arrays.toString(a),
          target.b().name(),
          Arrays.toString(b),
          target.tensor(),
          Arrays.toString(shape));
    }
    int rank = (int) a[0] / count;
    if (b[1] != a[0] || rank != config.rank(target.names())) {
      throw new CheckpointException(
          "%s has the shape %s and %s %s, but their rank is %s in %s",
          target.a().name(),
          Arrays.toString(a),
          target.b().name(),
          Arrays.toString(b),
          config.rank(target.names()) + (count > 1 ? " for each of " + count + " experts" : ""),
          PeftConfig.FILE);
    }
    float[] inputs = AdapterFiles.finite(target.a().name(), file.floats(target.a().name()));
    float[] outputs = AdapterFiles.finite(target.b().name(), file.floats(target.b().name()));
    List<LowRank> matrices = new ArrayList<>();
    for (int e = 0; e < count; e++) {
      int length = inputs.length / count;
      float[] own = new float[outputs.length / count];
      for (int i = 0; i < own.length; i++) {
        own[i] = outputs[i * count + e]; // element [n, j] is at n r E + j E + e
      }
      LowRank matrix =
          new LowRank(
              rank,
              Arrays.copyOfRange(inputs, e * length, (e + 1) * length),
              own,
              config.scale(target.names()));
      matrices.add(turned ? matrix.transposed() : matrix);
    }
    return matrices;
  }

  /** Writes the adapters of tensors of modules. */
  static void write(
      Path folder,
      AdaptedTensors tensors,
      Map<String, List<LowRank>> adapters,
      boolean transposed,
      String base)
      throws IOException {
    Map<String, EncodedRows> parts = new TreeMap<>();
    Map<String, Integer> depths = new LinkedHashMap<>();
    List<String> names = tensors.modules().stream().filter(adapters::containsKey).toList();
    for (String tensor : names.reversed()) {
      boolean stack = tensors.shape(tensor).length == 3;
      String module = tensor.substring(0, tensor.lastIndexOf('.'));
      int depth = depths.merge(module, 1, Integer::sum) - 1;
      String name = BASE + module + WRAPPED.repeat(depth) + ".lora_";
      List<LowRank> matrices = adapters.get(tensor);
      if (stack && transposed) {
        matrices = matrices.stream().map(LowRank::transposed).toList();
      }
      LowRank first = matrices.getFirst();
      long all = (long) first.rank() * matrices.size();
      parts.put(
          name + "A" + WEIGHT,
          AdapterFiles.encoded(
              new long[] {all, first.columns()}, matrices.stream().map(LowRank::a).toList()));
      float[] outputs = new float[Math.toIntExact(first.rows() * all)];
      for (int e = 0; e < matrices.size(); e++) {
        float[] own = matrices.get(e).b();
        for (int i = 0; i < own.length; i++) {
          outputs[i * matrices.size() + e] = own[i];
        }
      }
      parts.put(
          name + "B" + WEIGHT,
          AdapterFiles.encoded(new long[] {first.rows(), all}, List.of(outputs)));
    }
    HuggingFaceWriter.writeFile(folder.resolve(WEIGHTS), parts);
    PeftConfig.write(folder, tensors, adapters, base);
  }
}
