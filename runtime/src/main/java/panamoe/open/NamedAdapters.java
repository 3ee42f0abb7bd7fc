package panamoe.open;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import panamoe.backend.Backend;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.LowRank;
import panamoe.config.ModelConfig;
import panamoe.io.Require;
import panamoe.io.Sha256;
import panamoe.model.LanguageModel;
import panamoe.parallel.Topology;
import panamoe.param.Adapter;
import panamoe.param.Parameter;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Adapters of one model, of which each sequence chooses one by its name, or none. Immutable.
 *
 * @param names of the adapters; empty: if there is one, all sequences have it
 * @param factors of each, by the names of weights in a checkpoint
 * @param notes for the user, a sentence each
 */
public record NamedAdapters(
    List<String> names, List<Map<String, LowRank>> factors, List<String> notes) {
  /** No adapters. */
  public static final NamedAdapters NONE = new NamedAdapters(List.of(), List.of());

  private static final int MOST = 8;

  /** Without notes. */
  public NamedAdapters(List<String> names, List<Map<String, LowRank>> factors) {
    this(names, factors, List.of());
  }

  /** An adapter's name, and its file or folder. */
  public record Source(String name, Path path) {}

  /**
   * Reads adapters.
   *
   * @param folder of their model
   * @throws IllegalArgumentException if there are more than 8, or two have one name
   * @throws CheckpointException as {@link ModelFolder#adapter}
   */
  public static NamedAdapters read(ModelFolder folder, List<Source> sources) {
    Require.that(
        sources.size() <= MOST, "%s adapters are given, expected at most %s", sources.size(), MOST);
    List<String> names = new ArrayList<>();
    List<Map<String, LowRank>> factors = new ArrayList<>();
    for (Source source : sources) {
      Require.that(
          !names.contains(source.name), "two adapters have the name %s: rename one", source.name);
      names.add(source.name);
      factors.add(factors(folder, source.path));
    }
    return new NamedAdapters(names, factors, notes(folder, sources.stream().map(Source::path)));
  }

  /**
   * Reads an adapter that all sequences have.
   *
   * @throws CheckpointException as {@link ModelFolder#adapter}
   */
  public static NamedAdapters ofAll(ModelFolder folder, Path path) {
    return new NamedAdapters(
        List.of(), List.of(factors(folder, path)), notes(folder, Stream.of(path)));
  }

  private static List<String> notes(ModelFolder folder, Stream<Path> paths) {
    return paths.map(folder::noteOnAdapter).flatMap(Optional::stream).toList();
  }

  private static Map<String, LowRank> factors(ModelFolder folder, Path path) {
    if (folder.adapters() != null) {
      throw new CheckpointException(
          "%s has adapters already; give the model that they are of, and them too", folder.path());
    }
    if (Files.notExists(path)) {
      throw new CheckpointException(
          "%s does not exist, expected a run of train --lora, a folder of PEFT, or a GGUF file",
          path);
    }
    Map<String, LowRank> factors = folder.adapter(path);
    factors.forEach(
        (name, factor) -> {
          if (!isFinite(factor.a()) || !isFinite(factor.b())) {
            throw new CheckpointException(
                "%s has an adapter of %s with a number that is not finite", path, name);
          }
        });
    return factors;
  }

  private static boolean isFinite(float[] numbers) {
    for (float number : numbers) {
      if (!Float.isFinite(number)) {
        return false;
      }
    }
    return true;
  }

  /**
   * Refuses them before the model is loaded.
   *
   * @throws IllegalArgumentException on several ranks, or of a model with an encoder
   */
  public void requireServed(ModelConfig config, Topology topology) {
    Require.that(
        factors.isEmpty() || topology.ranks() == 1,
        "adapters are served by one rank, not by %s; merge one into the model with edit --merge-lora",
        topology.ranks());
    Require.that(
        factors.isEmpty() || config.encoder() == null,
        "the model has an encoder, which serves no adapters; merge one with edit --merge-lora");
  }

  /** The checksum of their names and numbers in hexadecimal. */
  public String sha256() {
    MessageDigest digest = Sha256.digest();
    for (int i = 0; i < factors.size(); i++) {
      update(digest, names.isEmpty() ? "" : names.get(i));
      new TreeMap<>(factors.get(i))
          .forEach(
              (name, factor) -> {
                update(digest, name);
                update(digest, factor.rank() + " " + factor.scale());
                update(digest, factor.a());
                update(digest, factor.b());
              });
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  /** With its length first, so that no other sequence of texts and numbers has the same bytes. */
  private static void update(MessageDigest digest, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    digest.update(ByteBuffer.allocate(Integer.BYTES).putInt(0, bytes.length));
    digest.update(bytes);
  }

  private static void update(MessageDigest digest, float[] numbers) {
    ByteBuffer bytes = ByteBuffer.allocate(Integer.BYTES + numbers.length * Float.BYTES);
    bytes.putInt(numbers.length).asFloatBuffer().put(numbers);
    digest.update(bytes.rewind());
  }

  /** Bytes of their factors in a model. */
  public long bytes(ModelConfig config, WeightTypes types) {
    if (factors.isEmpty()) {
      return 0;
    }
    try (LanguageModel model = new LanguageModel(config)) {
      long without = InferenceMemory.ofRank(model, types);
      declare(model);
      return InferenceMemory.ofRank(model, types) - without;
    }
  }

  /** Declares them in a model without memory. */
  public void declare(LanguageModel model) {
    if (factors.isEmpty()) {
      return;
    }
    requireServed(model.config(), model.parameters().ranks().topology());
    Map<String, Integer> ranks = new HashMap<>();
    for (Parameter parameter : model.parameters().parameters()) {
      for (int i = 0; i < parameter.matrices(); i++) {
        for (Map<String, LowRank> each : factors) {
          LowRank found = each.get(parameter.tensorName(i));
          if (found != null) {
            ranks.merge(parameter.name(), found.rank(), Math::max);
          }
        }
      }
    }
    model.choosing(names, ranks);
  }

  /** Writes them into the model's memory, B times s: zeros for none, and up to the common rank. */
  public void fill(LanguageModel model, Backend backend) {
    if (factors.isEmpty()) {
      return;
    }
    boolean offloaded = model.parameters().expertCache().isPresent();
    for (Parameter parameter : model.parameters().parameters()) {
      Adapter adapter = parameter.adapter();
      if (adapter == null) {
        continue;
      }
      try (TensorScope scope = TensorScope.confined(backend)) {
        Tensor a = scope.allocate(DType.FLOAT32, adapter.a().shape());
        Tensor b = scope.allocate(DType.FLOAT32, adapter.b().shape());
        for (int i = 0; i < parameter.matrices(); i++) {
          String name = parameter.tensorName(i);
          List<LowRank> own = factors.stream().map(each -> each.get(name)).toList();
          adapter.a().matrix(a, i).set(a(own, adapter.a().matrixShape()));
          adapter.b().matrix(b, i).set(b(own, adapter.b().matrixShape()));
        }
        boolean together = adapter.choices() > 0 && !(offloaded && WeightTypes.isExpert(parameter));
        hold(model, adapter.a(), a, together, backend);
        hold(model, adapter.b(), b, together, backend);
        backend.synchronize();
      }
    }
  }

  /** Packed if all matrices are in one product. */
  private static void hold(
      LanguageModel model, Parameter factor, Tensor numbers, boolean together, Backend backend) {
    if (together) {
      long rows = numbers.size(-2);
      long columns = numbers.size(-1);
      long matrices = numbers.count() / rows / columns;
      model.parameters().pack(backend, factor, numbers.reshape(matrices, rows, columns));
    } else {
      backend.cast(numbers, factor.value());
    }
  }

  /** The first matrix of a stack is that of none. */
  private static float[] a(List<LowRank> own, long[] shape) {
    int none = shape.length - 2;
    int each = Math.toIntExact(shape[none] * shape[none + 1]);
    float[] all = new float[Math.toIntExact(Tensor.count(shape))];
    for (int i = 0; i < own.size(); i++) {
      if (own.get(i) != null) {
        System.arraycopy(own.get(i).a(), 0, all, (i + none) * each, own.get(i).a().length);
      }
    }
    return all;
  }

  private static float[] b(List<LowRank> own, long[] shape) {
    int none = shape.length - 2;
    int rows = Math.toIntExact(shape[none]);
    int rank = Math.toIntExact(shape[none + 1]);
    float[] all = new float[Math.toIntExact(Tensor.count(shape))];
    for (int i = 0; i < own.size(); i++) {
      LowRank from = own.get(i);
      for (int j = 0; from != null && j < from.b().length; j++) {
        int at = ((i + none) * rows + j / from.rank()) * rank + j % from.rank();
        all[at] = (float) (from.b()[j] * from.scale());
      }
    }
    return all;
  }
}
