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
import panamoe.checkpoint.ExpertFile;
import panamoe.checkpoint.LoadTarget;
import panamoe.io.Count;
import panamoe.io.Sha256;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.moe.MoeLayer;
import panamoe.param.ExpertCache;
import panamoe.param.ExpertLayout;
import panamoe.param.Parameter;
import panamoe.param.Slice;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Loads a model whose weights are larger than their memory budget: everything except experts'
 * matrices stays in memory, and the rest of the budget is an {@link ExpertCache} over an {@link
 * ExpertFile}, which is written at the first such load.
 */
final class ExpertsOnDisk {
  /** One expert is computed while another is read. */
  private static final int LEAST_SLOTS = 2;

  /** The file's name has this part of the key; the file has all of it. */
  private static final int NAME_BYTES = 16;

  /**
   * An expert of a layer.
   *
   * @param layer its index among {@link LanguageModel#allMoeLayers}
   * @param matrix index of the expert among this rank's matrices of the layer
   * @param number among the layer's experts, over all ranks
   */
  private record Unit(int layer, int matrix, int number) {}

  private final FolderLoad load;
  private final Backend backend;
  private final WeightTypes types;
  private final LanguageModel model;
  private final List<ExpertLayout> layouts = new ArrayList<>();
  private final List<Unit> units = new ArrayList<>();

  /**
   * @param model without memory
   */
  ExpertsOnDisk(FolderLoad load, LanguageModel model) {
    this.load = load;
    this.backend = load.backend();
    this.types = load.settings().types();
    this.model = model;
    List<MoeLayer> layers = model.allMoeLayers();
    for (int layer = 0; layer < layers.size(); layer++) {
      List<Parameter> stacks = layers.get(layer).expertMatrices();
      for (int matrix = 0; matrix < stacks.getFirst().matrices(); matrix++) {
        units.add(new Unit(layer, matrix, stacks.getFirst().expert(matrix)));
        layouts.add(ExpertLayout.of(backend, types, stacks, matrix));
      }
    }
  }

  /**
   * Loads what stays in memory, and creates the cache of the rest.
   *
   * @param progress receives the loaded part, 0 to 1, on any thread
   * @throws CheckpointException if the budget is too small, or the file cannot be written or read
   */
  void load(DoubleConsumer progress) {
    long slot = ExpertFile.room(bytes().max().orElse(0));
    int slots = slots(slot);
    long bytes = slots * slot + ExpertFile.BLOCK;
    model.allocate(backend, types, parameter -> !WeightTypes.isExpert(parameter), bytes);
    MemorySegment all = model.parameters().scope().allocate(DType.UINT8, bytes).data();
    MemorySegment memory = all.asSlice(-all.address() & ExpertFile.BLOCK - 1, slots * slot);
    double rest = (double) resident() / InferenceMemory.ofRank(model, types);
    Map<String, LoadTarget> staying = ModelTensors.destinations(model.parameters(), backend);
    load.read(staying, false, part -> progress.accept(part * rest));
    byte[] key = key();
    String name = HexFormat.of().formatHex(key, 0, NAME_BYTES) + ".experts";
    ExpertFile file =
        ExpertFile.open(
            load.settings().experts().resolve(name),
            key,
            bytes().toArray(),
            memory,
            (from, into) -> {
              read(from, into);
              progress.accept(rest + (1 - rest) * (from + into.length) / units.size());
            });
    ExpertCache cache = new ExpertCache(memory, slot, units.size(), source(file));
    model.offload(cache, layouts); // closed with the model from here on
    cache.warm(before());
  }

  /** How often servers chose each unit; an encoder's experts are not counted. */
  private long[] before() {
    List<ExpertHeat.Layer> heat = new ExpertHeat(load.settings().experts(), load.folder()).layers();
    int uncounted = model.allMoeLayers().size() - heat.size();
    return units.stream()
        .mapToLong(
            unit ->
                unit.layer < uncounted ? 0 : heat.get(unit.layer - uncounted).tokens()[unit.number])
        .toArray();
  }

  /** The size of every unit in bytes. */
  private LongStream bytes() {
    return layouts.stream().mapToLong(ExpertLayout::bytes);
  }

  private int slots(long slot) {
    if (backend.asynchronous()) {
      throw new CheckpointException(
          "experts that do not fit into --memory are computed on the host: take --device cpu");
    }
    if (load.settings().experts() == null) {
      throw new CheckpointException(
          "there is no folder for the experts that do not fit into --memory: name one with"
              + " --expert-cache");
    }
    long least = resident() + Math.min(LEAST_SLOTS, units.size()) * slot;
    if (units.isEmpty() || load.settings().memory() < least) {
      throw new CheckpointException(
          "%s needs %,.1f MiB of --memory or more, not %s: %s",
          load.folder().path(),
          Math.ceil(10.0 * least / (1 << 20)) / 10,
          Count.bytes(load.settings().memory()),
          units.isEmpty()
              ? "it has no experts that could stay on the disk"
              : "all but its experts, and " + LEAST_SLOTS + " of these");
    }
    return (int) Math.min(units.size(), (load.settings().memory() - resident()) / slot);
  }

  /** Bytes of everything except experts' matrices. */
  private long resident() {
    return InferenceMemory.ofRank(model, types)
        - model.parameters().parameters().stream()
            .filter(WeightTypes::isExpert)
            .mapToLong(types::packedBytes)
            .sum();
  }

  /** Everything that a file of experts depends on. */
  private byte[] key() {
    MessageDigest digest = Sha256.digest();
    StringBuilder text = new StringBuilder(load.folder().weights().sha256OfMatrices());
    TreeSet<DType> dtypes = new TreeSet<>();
    for (ExpertLayout layout : layouts) {
      text.append(' ');
      for (ExpertLayout.Matrix matrix : layout.matrices()) {
        text.append(matrix.dtype()).append(Arrays.toString(matrix.shape()));
        dtypes.add(matrix.dtype());
      }
    }
    for (ExpertLayout layout : layouts) {
      Slice slice = layout.matrices().getFirst().stack().slice();
      text.append(' ').append(slice.ranks().rank()).append('/').append(slice.ranks().size());
    }
    for (Unit unit : units) {
      text.append(' ').append(unit.layer).append(':').append(unit.number);
    }
    digest.update(text.toString().getBytes(StandardCharsets.UTF_8));
    dtypes.forEach(dtype -> digest.update(PackingProbe.of(backend, dtype)));
    return digest.digest();
  }

  /** Reads units of the model into memory, packed. */
  private void read(int from, MemorySegment[] into) {
    Map<String, LoadTarget> destinations = new HashMap<>();
    try (TensorScope scope = TensorScope.shared(backend)) {
      for (int i = 0; i < into.length; i++) {
        into[i].fill((byte) 0); // padding, which packing does not write
        Unit unit = units.get(from + i);
        for (ExpertLayout.Matrix matrix : layouts.get(from + i).matrices()) {
          Tensor target = backend.packedMatrix(matrix.in(scope, into[i]), 0);
          destinations.putAll(ModelTensors.expert(matrix.stack(), unit.matrix, target));
        }
      }
      load.read(destinations, false, _ -> {});
    }
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
        return ExpertFile.room(layouts.get(expert).bytes());
      }

      @Override
      public void close() {
        file.close();
      }
    };
  }
}
