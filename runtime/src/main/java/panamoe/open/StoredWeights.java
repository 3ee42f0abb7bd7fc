package panamoe.open;

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
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredRows;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.TensorFiles;
import panamoe.checkpoint.WeightLoader;
import panamoe.config.ModelConfig;
import panamoe.model.ModelTensors;
import panamoe.model.family.ReleasedModel;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/** The stored weights of a {@link ModelFolder}. */
public sealed interface StoredWeights {
  /** The folder with their files. */
  Path directory();

  /** Their checksum in hexadecimal. */
  String sha256();

  /**
   * The tensors as stored, without comparing checksums. The caller closes it.
   *
   * @throws CheckpointException if a file is missing or damaged
   */
  TensorFiles open();

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
