package panamoe.open;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleConsumer;
import panamoe.backend.Backend;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.LoadReport;
import panamoe.checkpoint.LoadTarget;
import panamoe.checkpoint.LowRank;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredRows;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.TensorFiles;
import panamoe.checkpoint.WeightLoader;
import panamoe.checkpoint.rows.LowRankRows;
import panamoe.config.AdapterConfig;
import panamoe.config.ModelConfig;
import panamoe.model.ModelTensors;
import panamoe.model.family.ReleasedModel;
import panamoe.param.Adapters;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/** The stored weights of a {@link ModelFolder}. */
public sealed interface StoredWeights {
  /** The folder with their files. */
  Path directory();

  /** Their checksum in hexadecimal. */
  String sha256();

  /** That of the files of a model's own matrices, which models with adapters of it share. */
  default String sha256OfMatrices() {
    return sha256();
  }

  /**
   * The tensors as stored, without comparing checksums. The caller closes it.
   *
   * @throws CheckpointException if a file is missing or damaged
   */
  TensorFiles open();

  /** Like {@link #open}, but refuses a run's tensors that do not match their checksums. */
  default TensorFiles checked() {
    return this instanceof Saved saved ? saved.checkpoint().model() : open();
  }

  /**
   * The rows of every weight of a model, by its name in a checkpoint.
   *
   * @param files of the weights, from {@link #open}
   * @param config of the model
   * @throws CheckpointException if the files hold other tensors
   */
  Map<String, RowSource> rows(TensorFiles files, ModelConfig config);

  /** Whether a training run has deleted them. */
  boolean isGone();

  /**
   * The weights that are stored in blocks: the blocks' dtypes, or FLOAT32 if they must be decoded.
   *
   * @param config of the model
   * @throws CheckpointException if a file is missing or damaged, or holds other tensors
   */
  default Map<String, DType> blocks(ModelConfig config) {
    Map<String, DType> blocks = new HashMap<>();
    try (TensorFiles files = open()) {
      rows(files, config)
          .forEach(
              (name, rows) -> {
                if (rows.encoded()) {
                  blocks.put(name, rows.inBlocks().map(RowSource::dtype).orElse(DType.FLOAT32));
                }
              });
    }
    return blocks;
  }

  /**
   * Notes on the files for the user, a sentence each.
   *
   * @param files from {@link #open}
   */
  default List<String> notes(TensorFiles files) {
    return List.of();
  }

  /** Bytes of all tensors in the files. */
  default long bytes() {
    try (TensorFiles files = open()) {
      return files.tensors().values().stream().mapToLong(StoredTensor::bytes).sum();
    }
  }

  /**
   * Refuses weights of another model, or too large ones, before anything is allocated.
   *
   * @param config of the model
   * @param types in which they will be held
   * @param availableBytes free memory for all of them
   * @param onHost whether that is host memory
   * @throws CheckpointException in one sentence
   */
  void require(ModelConfig config, WeightTypes types, long availableBytes, boolean onHost);

  /**
   * Loads this rank's weights.
   *
   * @param destinations of the weights
   * @param whole whether they are all of the model
   * @param strict refuses NaN and infinite values
   * @param progress receives the loaded part, 0 to 1, on any thread
   */
  LoadReport load(
      Map<String, LoadTarget> destinations,
      Backend backend,
      boolean whole,
      boolean strict,
      DoubleConsumer progress);

  /**
   * A checkpoint of a training run, or of a quantized model.
   *
   * @param quantized whether it is a quantized model
   */
  record Saved(Checkpoint checkpoint, boolean quantized) implements StoredWeights {
    @Override
    public Path directory() {
      return checkpoint.directory();
    }

    @Override
    public String sha256() {
      return checkpoint.sha256();
    }

    @Override
    public TensorFiles open() {
      return checkpoint.headers();
    }

    @Override
    public Map<String, RowSource> rows(TensorFiles files, ModelConfig config) {
      Map<String, long[]> shapes = ModelTensors.shapes(config);
      checkpoint.requireHolds(shapes);
      Map<String, StoredTensor> tensors = files.tensors();
      Map<String, RowSource> rows = new LinkedHashMap<>();
      shapes.keySet().forEach(name -> rows.put(name, StoredRows.of(files, tensors.get(name))));
      return rows;
    }

    @Override
    public boolean isGone() {
      return checkpoint.isGone();
    }

    @Override
    public void require(
        ModelConfig config, WeightTypes types, long availableBytes, boolean onHost) {
      if (types.quantized() || quantized) {
        InferenceMemory.of(config, types, types.compute(), 0, onHost)
            .requireFits(directory(), availableBytes);
      } else {
        checkpoint.requireFits(types.compute(), availableBytes);
      }
      checkpoint.requireHolds(ModelTensors.shapes(config));
    }

    @Override
    public LoadReport load(
        Map<String, LoadTarget> destinations,
        Backend backend,
        boolean whole,
        boolean strict,
        DoubleConsumer progress) {
      return whole
          ? checkpoint.loadModel(destinations, backend, false, strict, progress)
          : checkpoint.loadShare(destinations, backend, strict, progress);
    }
  }

  /**
   * A model and adapters of it, which a run trained.
   *
   * @param checkpoint of the adapters
   */
  record Adapted(StoredWeights base, AdapterConfig adapters, Checkpoint checkpoint)
      implements StoredWeights {
    /** The files of both. */
    private record Files(TensorFiles base, TensorFiles adapters) implements TensorFiles {
      @Override
      public Map<String, StoredTensor> tensors() {
        Map<String, StoredTensor> all = new LinkedHashMap<>(base.tensors());
        all.putAll(adapters.tensors());
        return all;
      }

      private TensorFiles of(StoredTensor tensor) {
        return adapters.tensors().containsKey(tensor.name()) ? adapters : base;
      }

      @Override
      public Path file(StoredTensor tensor) {
        return of(tensor).file(tensor);
      }

      @Override
      public void read(StoredTensor tensor, long offset, MemorySegment into) {
        of(tensor).read(tensor, offset, into);
      }

      @Override
      public void close() {
        try (base) {
          adapters.close();
        }
      }
    }

    @Override
    public Path directory() {
      return checkpoint.directory();
    }

    /** That of the adapters, whose config has the model's. */
    @Override
    public String sha256() {
      return checkpoint.sha256();
    }

    @Override
    public String sha256OfMatrices() {
      return base.sha256OfMatrices();
    }

    @Override
    public TensorFiles open() {
      TensorFiles model = base.open();
      try {
        return new Files(model, checkpoint.model());
      } catch (RuntimeException e) {
        model.close();
        throw e;
      }
    }

    /** The adapters are added to the matrices. */
    @Override
    public Map<String, RowSource> rows(TensorFiles files, ModelConfig config) {
      Files both = (Files) files;
      Map<String, StoredTensor> factors = both.adapters.tensors();
      Map<String, RowSource> rows = new LinkedHashMap<>(base.rows(both.base, config));
      rows.replaceAll(
          (name, of) ->
              factors.containsKey(Adapters.a(name))
                  ? LowRankRows.of(
                      of,
                      both.adapters,
                      factors.get(Adapters.a(name)),
                      factors.get(Adapters.b(name)),
                      adapters.scale())
                  : of);
      return rows;
    }

    /**
     * The adapters by the names of their matrices.
     *
     * @param checkpoint of a run of adapters, whose model may be anywhere
     * @throws CheckpointException if one is of a stack of heads
     */
    public static Map<String, LowRank> factors(Checkpoint checkpoint) {
      float scale = checkpoint.config(ModelFolder.ADAPTERS, AdapterConfig.class).scale();
      Map<String, LowRank> factors = new LinkedHashMap<>();
      try (TensorFiles files = checkpoint.model()) {
        Map<String, StoredTensor> tensors = files.tensors();
        for (StoredTensor a : tensors.values()) {
          if (!a.name().endsWith(Adapters.a(""))) {
            continue;
          }
          String name = a.name().substring(0, a.name().length() - Adapters.a("").length());
          if (a.shape().length > 2) {
            throw new CheckpointException(
                "%s has an adapter of %s, a stack of heads, which no other file has a place for",
                checkpoint.directory(), name);
          }
          StoredTensor b = tensors.get(Adapters.b(name));
          factors.put(
              name, new LowRank((int) a.shape()[0], floats(files, a), floats(files, b), scale));
        }
      }
      return factors;
    }

    private static float[] floats(TensorFiles files, StoredTensor tensor) {
      float[] floats = new float[(int) tensor.count()];
      StoredRows rows = StoredRows.of(files, tensor);
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment read = arena.allocate(ValueLayout.JAVA_FLOAT, floats.length);
        rows.read(0, rows.rows(), 0, rows.columns(), read);
        MemorySegment.copy(read, ValueLayout.JAVA_FLOAT, 0, floats, 0, floats.length);
      }
      return floats;
    }

    @Override
    public boolean isGone() {
      return checkpoint.isGone();
    }

    @Override
    public Map<String, DType> blocks(ModelConfig config) {
      return base.blocks(config);
    }

    @Override
    public List<String> notes(TensorFiles files) {
      return base.notes(((Files) files).base);
    }

    @Override
    public void require(
        ModelConfig config, WeightTypes types, long availableBytes, boolean onHost) {
      base.require(config, types, availableBytes, onHost);
      checkpoint.requireHolds(ModelTensors.shapes(config, adapters));
    }

    @Override
    public LoadReport load(
        Map<String, LoadTarget> destinations,
        Backend backend,
        boolean whole,
        boolean strict,
        DoubleConsumer progress) {
      Map<String, LoadTarget> weights = new LinkedHashMap<>(destinations);
      weights.keySet().removeIf(Adapters::isFactor);
      Map<String, LoadTarget> factors = new LinkedHashMap<>(destinations);
      factors.keySet().removeAll(weights.keySet());
      LoadReport report = base.load(weights, backend, whole, strict, progress);
      return factors.isEmpty()
          ? report
          : report.after(checkpoint.loadShare(factors, backend, strict, _ -> {}).warnings());
    }
  }

  /** The files of a released model. */
  record Released(ReleasedModel model) implements StoredWeights {
    @Override
    public Path directory() {
      return model.path();
    }

    @Override
    public String sha256() {
      return model.fingerprint();
    }

    @Override
    public TensorFiles open() {
      return model.open();
    }

    @Override
    public Map<String, RowSource> rows(TensorFiles files, ModelConfig config) {
      return model.sources(files);
    }

    @Override
    public List<String> notes(TensorFiles files) {
      return model.notes(files);
    }

    @Override
    public boolean isGone() {
      return false;
    }

    @Override
    public void require(
        ModelConfig config, WeightTypes types, long availableBytes, boolean onHost) {
      try (TensorFiles files = open()) {
        model.sources(files);
      }
      InferenceMemory.of(config, types, types.compute(), 0, onHost)
          .requireFits(directory(), availableBytes);
    }

    @Override
    public LoadReport load(
        Map<String, LoadTarget> destinations,
        Backend backend,
        boolean whole,
        boolean strict,
        DoubleConsumer progress) {
      try (TensorFiles files = open()) {
        return WeightLoader.load(
                directory(), model.sources(files), destinations, backend, strict, progress)
            .after(notes(files));
      }
    }
  }
}
