package panamoe.open;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.DoubleConsumer;
import java.util.stream.LongStream;
import panamoe.backend.Backend;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.Destination;
import panamoe.checkpoint.ExpertFile;
import panamoe.checkpoint.LoadReport;
import panamoe.io.Count;
import panamoe.io.Sha256;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.moe.ExpertCache;
import panamoe.moe.ExpertLayout;
import panamoe.moe.MoeLayer;
import panamoe.param.Parameter;
import panamoe.param.Slice;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Loads a model whose weights are larger than the memory that they may take: all but the experts'
 * matrices stay, and the rest of the budget is an {@link ExpertCache} over an {@link ExpertFile},
 * which is written when a model is first loaded so.
 */
final class ExpertsOnDisk {
  /** One is computed with while another is read. */
  private static final int LEAST_SLOTS = 2;

  /** Of the key, in the file's name; all of it is in the file. */
  private static final int NAME_BYTES = 16;

  /**
   * An expert of a layer.
   *
   * @param layer its index among {@link LanguageModel#allMoeLayers}
   * @param matrix which of this rank's matrices of the layer are the expert's
   * @param number among the layer's experts, over all ranks
   */
  private record Unit(int layer, int matrix, int number) {}

  private final ModelFolder folder;
  private final Backend backend;
  private final InferenceSettings settings;
  private final boolean strict;
  private final LanguageModel model;
  private final List<MoeLayer> layers;
  private final List<ExpertLayout> layouts = new ArrayList<>();
  private final List<Unit> units = new ArrayList<>();
  private final List<String> warnings = new ArrayList<>();

  private ExpertsOnDisk(
      ModelFolder folder,
      Backend backend,
      InferenceSettings settings,
      boolean strict,
      LanguageModel model) {
    this.folder = folder;
    this.backend = backend;
    this.settings = settings;
    this.strict = strict;
    this.model = model;
    this.layers = model.allMoeLayers();
    for (int layer = 0; layer < layers.size(); layer++) {
      layouts.add(layers.get(layer).expertLayout(backend, types()));
      Parameter stack = layers.get(layer).expertMatrices().getFirst();
      for (int matrix = 0; matrix < stack.matrices(); matrix++) {
        units.add(new Unit(layer, matrix, stack.expert(matrix)));
      }
    }
  }

  /**
   * Loads what stays in memory, and makes the cache of the rest.
   *
   * @param model without memory
   * @param strict refuses NaN and infinite values
   * @param progress is told which part is loaded, 0 to 1, by any thread
   * @return the loader's warnings
   * @throws CheckpointException if the budget is too small, or the file cannot be written or read
   */
  static List<String> load(
      ModelFolder folder,
      Backend backend,
      InferenceSettings settings,
      boolean strict,
      LanguageModel model,
      DoubleConsumer progress) {
    ExpertsOnDisk loading = new ExpertsOnDisk(folder, backend, settings, strict, model);
    loading.load(progress);
    return loading.warnings;
  }

  private void load(DoubleConsumer progress) {
    long slot = ExpertFile.room(bytes().max().orElse(0));
    int slots = slots(slot);
    long bytes = slots * slot + ExpertFile.BLOCK;
    model.allocateWithoutExperts(backend, settings.types(), bytes);
    MemorySegment all = model.parameters().scope().allocate(DType.UINT8, bytes).data();
    MemorySegment memory = all.asSlice(-all.address() & ExpertFile.BLOCK - 1, slots * slot);
    double rest = (double) resident() / InferenceMemory.ofRank(model, types());
    read(ModelTensors.destinations(model, backend), part -> progress.accept(part * rest));
    byte[] key = key();
    String name = HexFormat.of().formatHex(key, 0, NAME_BYTES) + ".experts";
    ExpertFile file =
        ExpertFile.open(
            settings.experts().resolve(name),
            key,
            bytes().toArray(),
            memory,
            (from, into) -> {
              read(from, into);
              progress.accept(rest + (1 - rest) * (from + into.length) / units.size());
            });
    ExpertCache cache = new ExpertCache(memory, slot, units.size(), source(file));
    model.readThrough(cache, layouts); // which is closed with the model from here on
    cache.warm(before());
  }

  /** How often servers chose each unit; that of an encoder's experts is not counted. */
  private long[] before() {
    List<ExpertHeat.Layer> heat = new ExpertHeat(settings.experts(), folder).layers();
    int uncounted = layers.size() - heat.size();
    return units.stream()
        .mapToLong(
            unit ->
                unit.layer < uncounted ? 0 : heat.get(unit.layer - uncounted).tokens()[unit.number])
        .toArray();
  }

  private WeightTypes types() {
    return settings.types();
  }

  /** Bytes of every unit. */
  private LongStream bytes() {
    return units.stream().mapToLong(unit -> layouts.get(unit.layer).bytes());
  }

  private int slots(long slot) {
    if (backend.asynchronous()) {
      throw new CheckpointException(
          "experts that do not fit into --memory are computed on the host: take --device cpu");
    }
    if (settings.experts() == null) {
      throw new CheckpointException(
          "there is no folder for the experts that do not fit into --memory: name one with"
              + " --expert-cache");
    }
    long least = resident() + Math.min(LEAST_SLOTS, units.size()) * slot;
    if (units.isEmpty() || settings.memory() < least) {
      throw new CheckpointException(
          "%s needs %,.1f MiB of --memory or more, not %s: %s",
          folder.path(),
          Math.ceil(10 * mebibytes(least)) / 10,
          Count.bytes(settings.memory()),
          units.isEmpty()
              ? "it has no experts that could stay on the disk"
              : "all but its experts, and " + LEAST_SLOTS + " of these");
    }
    return (int) Math.min(units.size(), (settings.memory() - resident()) / slot);
  }

  private static double mebibytes(long bytes) {
    return bytes / (double) (1 << 20);
  }

  /** Bytes of all but experts' matrices. */
  private long resident() {
    long bytes = InferenceMemory.ofRank(model, types());
    for (Parameter parameter : model.parameters().parameters()) {
      bytes -=
          WeightTypes.isExpert(parameter)
              ? types().of(parameter).packedBytes(parameter.count())
              : 0;
    }
    return bytes;
  }

  /** All that a file of experts depends on. */
  private byte[] key() {
    MessageDigest digest = Sha256.digest();
    StringBuilder text = new StringBuilder(folder.weights().sha256());
    for (ExpertLayout layout : layouts) {
      text.append(' ').append(layout.up()).append(Arrays.toString(layout.upShape()));
      text.append(layout.down()).append(Arrays.toString(layout.downShape()));
    }
    for (MoeLayer layer : layers) {
      Slice slice = layer.expertMatrices().getFirst().slice();
      text.append(' ').append(slice.ranks().rank()).append('/').append(slice.ranks().size());
    }
    for (Unit unit : units) {
      text.append(' ').append(unit.layer).append(':').append(unit.number);
    }
    digest.update(text.toString().getBytes(StandardCharsets.UTF_8));
    TreeSet<DType> dtypes = new TreeSet<>();
    layouts.forEach(layout -> dtypes.addAll(List.of(layout.up(), layout.down())));
    dtypes.forEach(dtype -> digest.update(PackingProbe.of(backend, dtype)));
    return digest.digest();
  }

  /** Reads units of the model into memory, packed. */
  private void read(int from, MemorySegment[] into) {
    Map<String, Destination> destinations = new HashMap<>();
    try (TensorScope scope = TensorScope.shared(backend)) {
      for (int i = 0; i < into.length; i++) {
        into[i].fill((byte) 0); // padding, which packing does not write
        Unit unit = units.get(from + i);
        ExpertLayout layout = layouts.get(unit.layer);
        List<Parameter> stacks = layers.get(unit.layer).expertMatrices();
        Tensor up = layout.up(scope, into[i], layout.upShape());
        Tensor down = layout.down(scope, into[i], layout.downShape());
        destinations.putAll(ModelTensors.expert(stacks.getFirst(), unit.matrix, up));
        destinations.putAll(ModelTensors.expert(stacks.getLast(), unit.matrix, down));
      }
      read(destinations, _ -> {});
    }
  }

  private void read(Map<String, Destination> destinations, DoubleConsumer progress) {
    LoadReport report = folder.weights().load(destinations, backend, false, strict, progress);
    report.warnings().stream().filter(text -> !warnings.contains(text)).forEach(warnings::add);
  }

  private ExpertCache.Source source(ExpertFile file) {
    return new ExpertCache.Source() {
      @Override
      public boolean read(int expert, MemorySegment slot) {
        return file.read(expert, slot);
      }

      @Override
      public void mend(int expert, MemorySegment slot) {
        ExpertsOnDisk.this.read(expert, new MemorySegment[] {slot});
        file.rewrite(expert, slot);
      }

      @Override
      public long bytes(int expert) {
        return ExpertFile.room(layouts.get(units.get(expert).layer).bytes());
      }

      @Override
      public void close() {
        file.close();
      }
    };
  }
}
