package panamoe.open;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import panamoe.backend.Backend;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.LoadTarget;
import panamoe.config.AdapterConfig;
import panamoe.config.ModelConfig;
import panamoe.io.Omittable;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.open.hub.ModelName;
import panamoe.parallel.Ranks;
import panamoe.param.Adapters;
import panamoe.param.WeightTypes;
import panamoe.tensor.DType;

/**
 * The model that adapters are trained over, as a run's config names it.
 *
 * @param path of the model (of a run, its checkpoint), absolute, or its name
 * @param sha256 of its weights
 * @param matrices name of the dtype that its matrices are rounded to while they are read; null: the
 *     blocks of the files, and the compute dtype where there are none
 */
public record AdaptedBase(String path, String sha256, @Omittable String matrices) {
  public AdaptedBase {
    Require.present("path", path);
    Require.present("sha256", sha256);
    Require.that(
        matrices == null
            || Arrays.stream(DType.values()).anyMatch(it -> it.name().equals(matrices)),
        "matrices is %s, expected the name of a dtype",
        matrices);
  }

  /**
   * For an opened model.
   *
   * @param matrices null: as stored
   * @throws IllegalArgumentException if it has adapters
   */
  public static AdaptedBase of(ModelFolder folder, DType matrices) {
    Require.that(
        folder.adapters() == null, "%s has adapters already; merge them first", folder.path());
    Path path =
        folder.weights() instanceof StoredWeights.Saved saved ? saved.directory() : folder.path();
    boolean named = ModelName.in(path.toString()).isPresent();
    return new AdaptedBase(
        named ? path.toString() : path.toAbsolutePath().normalize().toString(),
        folder.weights().sha256(),
        matrices == null ? null : matrices.name());
  }

  /**
   * Opens the model.
   *
   * @throws CheckpointException if it is gone, or has changed
   */
  public ModelFolder open() {
    Path at = Path.of(path);
    if (ModelName.in(path).isEmpty() && Files.notExists(at)) {
      throw new CheckpointException(
          "the model that the adapters are of is no longer at %s; put it back", path);
    }
    ModelFolder folder = ModelFolder.open(at);
    if (!folder.weights().sha256().equals(sha256)) {
      throw new CheckpointException(
          "%s has changed since the adapters were trained over it; put back its weights", path);
    }
    return folder;
  }

  /**
   * The dtypes of the weights in training, where a CPU rounds no activations: a gradient belongs to
   * the weights alone.
   */
  public WeightTypes types(ModelFolder folder, DType compute) {
    DType rounded = matrices == null ? null : DType.valueOf(matrices);
    WeightTypes types =
        rounded == null
            ? folder.typesAsStored(compute)
            : new WeightTypes(compute, rounded.isBlocks() ? rounded : compute);
    return types.withExact(types.quantized());
  }

  /**
   * Loads this rank's part of the weights as for inference, and new adapters over them.
   *
   * @param config of the model in training
   * @param compute dtype of activations
   * @param warnings receives the loader's
   * @throws CheckpointException if it is gone or has changed, or a weight is NaN or infinite
   */
  public LanguageModel load(
      ModelConfig config,
      AdapterConfig adapters,
      Backend backend,
      DType compute,
      long seed,
      Ranks ranks,
      List<String> warnings) {
    ModelFolder folder = open();
    WeightTypes types = types(folder, compute);
    LanguageModel model = new LanguageModel(config, ranks);
    try {
      model.adapted(adapters).adapt(backend, types, seed);
      Map<String, LoadTarget> weights = ModelTensors.destinations(model.parameters(), backend);
      weights.keySet().removeIf(Adapters::isFactor);
      boolean whole = ranks.world().size() == 1;
      warnings.addAll(folder.weights().load(weights, backend, whole, true, _ -> {}).warnings());
      return model;
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
  }
}
